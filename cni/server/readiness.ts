// Whether the CNI server is alive, and whether it could plug every type for which its node is configured, in words.
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
  /** The databases in use. */
  readonly databases: () => readonly Ovsdb[];
  /** Why the node's configuration is refused. Empty when it is in force. */
  readonly refused: () => readonly string[];
}

/** Why it should be restarted. Empty when it is alive. `born`: the identity of the socket when it was made. */
export function livenessProblems(
  { socket, ovsdb }: Pick<Settings, 'socket' | 'ovsdb'>,
  born: string | undefined,
): readonly string[] {
  const folder = ovsdb.startsWith('unix:') ? dirname(ovsdb.slice('unix:'.length)) : undefined;
  return [
    ...(findSocketIdentity(socket) === born
      ? []
      : [`the socket ${socket} was removed or replaced: no runtime finds this server`]),
    // systemd, for one, removes a unit's runtime directory and makes it again. The new one is not the one that is mounted in our container.
    ...(folder !== undefined && isRemoved(folder)
      ? [`${folder} was removed on the node, and this container still sees the old one`]
      : []),
  ];
}

/** What an ADD needs from others. */
export interface Needs {
  /** The node's own database. */
  readonly database: Pick<Ovsdb, 'problem'>;
  readonly pods: Pick<Pods, 'problem'>;
  readonly forwarder?: Pick<Forwarder, 'health'> | undefined;
  /** Why the node's configuration is refused. */
  readonly refused?: readonly string[];
  /** Why the runtime does not have the main network as its ConfigMap says. */
  readonly network?: readonly string[];
}

/** Why an ADD could fail. Empty when there is no reason. It does not ask ovs-vswitchd, because that would make it look at all its ports. */
export async function readinessProblems({
  database,
  pods,
  forwarder,
  refused = [],
  network = [],
}: Needs): Promise<readonly string[]> {
  const relays = forwarder && (await within(2000, forwarder.health(), () => 'it has not answered within 2 s'));
  const others = [database.problem, pods.problem(), relays && `forwarder: ${relays}`].filter((problem) => problem !== undefined);
  return [
    ...refused.map((words) => `${words}; the last good configuration stays in force`),
    ...network.map((words) => `${words}; the runtime keeps what it has`),
    ...others,
  ];
}
