// Whether the CNI server lives and whether it could plug every type that its node is configured for, in words.
import { dirname } from 'node:path';
import { within } from '../../host/base/within.ts';
import { isRemoved } from '../../host/files/removed.ts';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import type { Forwarder } from '../../host/forwarder/forwarder.ts';
import type { Pods } from '../../host/kube/pods.ts';
import type { Ovsdb } from '../../host/ovs/ovsdb.ts';
import type { Context } from '../attachment/context.ts';
import type { Settings } from '../attachment/settings.ts';

/** What metrics and probes look at. */
export interface NodeState {
  readonly context: Context;
  /** Those that are in use. */
  readonly databases: () => readonly Ovsdb[];
}

/** Why it should be restarted; empty: it lives. `born`: the socket's identity when it was made. */
export function livenessProblems(
  { socket, ovsdb }: Pick<Settings, 'socket' | 'ovsdb'>,
  born: string | undefined,
): readonly string[] {
  const folder = ovsdb.startsWith('unix:') ? dirname(ovsdb.slice('unix:'.length)) : undefined;
  return [
    ...(findSocketIdentity(socket) === born
      ? []
      : [`the socket ${socket} was removed or replaced: no runtime finds this server`]),
    // As systemd does to a unit's runtime directory: the one that is made anew is not the one that is mounted into our container.
    ...(folder !== undefined && isRemoved(folder)
      ? [`${folder} was removed on the node, and this container still sees the old one`]
      : []),
  ];
}

/** What an ADD needs of others. */
export interface Needs {
  /** The node's own. */
  readonly database: Pick<Ovsdb, 'problem'>;
  readonly pods: Pick<Pods, 'problem'>;
  readonly forwarder?: Pick<Forwarder, 'health'> | undefined;
}

/** Why an ADD could fail; empty: it need not. Nothing is asked of ovs-vswitchd: that would make it look at all its ports each time. */
export async function readinessProblems({ database, pods, forwarder }: Needs): Promise<readonly string[]> {
  const relays = forwarder && (await within(2000, forwarder.health(), () => 'it has not answered within 2 s'));
  return [database.problem, pods.problem(), relays && `forwarder: ${relays}`].filter((problem) => problem !== undefined);
}
