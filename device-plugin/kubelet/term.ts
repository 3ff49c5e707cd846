// One socket of one resource from its start to its end: it is served, made known to kubelet, and kept as long as kubelet streams from it.
// endpoint.ts decides what comes after it.
import { dirname, join } from 'node:path';
import type { Logger } from '../../host/base/log.ts';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import { makeSocketPath } from '../../host/kube/plugin-sockets.ts';
import type { Snapshot } from '../answers/snapshot.ts';
import type { Bell } from './bell.ts';
import { register } from './register.ts';
import { type Service, type ServiceEvent, serve } from './service.ts';
import type { Timing } from './timing.ts';

/** How kubelet learns of a socket: it watches plugins_registry, or Register tells it of a socket in device-plugins. */
export const ways = ['watcher', 'register'] as const;
export type Way = (typeof ways)[number];

export interface TermOptions {
  readonly resource: string;
  readonly way: Way;
  /** The way's directory as this process sees it. */
  readonly directory: string;
  readonly timing: Timing;
  readonly log: Logger;
  readonly snapshot: () => Snapshot;
  readonly take: (ids: readonly string[]) => void;
  /** The directory watch rings it. This file rings it when kubelet says something. */
  readonly bell: Bell;
  readonly stopping: () => boolean;
  readonly opened: (service: Service, socket: string) => void;
  readonly registered: () => void;
  readonly waiting: (reason: string) => void;
}

export interface TermEnd {
  /** Whether kubelet asked who we are. With Register it never does. */
  readonly asked: boolean;
  /** Kubelet's refusal, in its words. Absent when it went away or never came. */
  readonly refusal?: string;
  readonly reason: string;
}

/** Resolves when the term is over. Throws when the socket can't be served or Register fails. In every case the socket is gone then. */
export async function holdTerm(options: TermOptions): Promise<TermEnd> {
  const { bell, resource, timing, way } = options;
  const kubelet = join(dirname(options.directory), 'device-plugins/kubelet.sock');
  const socket = makeSocketPath(options.directory, resource);
  const heard: { signs: number; refusal?: string } = { signs: 0 };
  const event = (what: ServiceEvent): void => {
    if (what.kind !== 'streams') heard.signs += 1;
    if (what.kind === 'refused') heard.refusal = what.reason;
    bell.ring();
  };
  const kubeletAtBirth = findSocketIdentity(kubelet);
  const { log, snapshot, take } = options;
  const service = await serve({ socket, resource, log, snapshot, take, event });
  const atBirth = findSocketIdentity(socket);

  function over(): string | undefined {
    if (options.stopping()) return 'stopping';
    if (heard.refusal !== undefined) return `kubelet refused ${resource}: ${heard.refusal}`;
    if (findSocketIdentity(socket) !== atBirth) return `the socket ${socket} was removed (kubelet does so when it starts)`;
    const now = findSocketIdentity(kubelet);
    if (way === 'register' && now !== undefined && now !== kubeletAtBirth) return 'kubelet was started anew';
    return undefined;
  }
  /** Whether kubelet streams, at most `within` milliseconds after its last sign of life. */
  async function streaming(within: number): Promise<boolean> {
    for (let before = -1; before !== heard.signs; ) {
      before = heard.signs;
      if (await bell.until(() => over() !== undefined || service.streams > 0, within)) break;
    }
    return over() === undefined && service.streams > 0;
  }

  try {
    options.opened(service, socket);
    if (way === 'register') await register(socket, kubelet, resource, timing.register);
    // Up to 1.36, kubelet closes the newest connection of a resource when an older one ends (an upgrade with two instances side by
    // side). It does not return to a socket that it knows until it is told of it again. Pods that it admits in the meantime are refused
    // for good. So it is told at once. With the watcher it can't be told; there the second wait is short, and a new socket follows.
    for (let wait = timing.patience; await streaming(wait); wait = timing.settle) {
      options.registered();
      const began = performance.now();
      await bell.until(() => over() !== undefined || service.streams === 0, Number.POSITIVE_INFINITY);
      options.waiting(over() ?? 'kubelet closed its stream');
      const again = way === 'register' && over() === undefined && performance.now() - began > timing.settle;
      if (again) await register(socket, kubelet, resource, timing.register);
    }
    const silence = `kubelet does not stream ${resource} from ${socket}; is it running, and does it see ${options.directory}?`;
    const refusal = heard.refusal === undefined ? {} : { refusal: heard.refusal };
    return { asked: heard.signs > 0, ...refusal, reason: over() ?? silence };
  } finally {
    await service.close();
  }
}
