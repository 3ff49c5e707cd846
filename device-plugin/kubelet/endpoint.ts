// Keeps one resource known to kubelet, whatever kubelet does. Term follows term, with growing pauses while kubelet is absent or refuses.
// It never gives up and never throws.
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import type { Logger } from '../../host/base/log.ts';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import { existsOnHost } from '../../host/kernel/sysfs.ts';
import type { Snapshot } from '../answers/snapshot.ts';
import { makeBell } from './bell.ts';
import { RegistrationRefused } from './register.ts';
import type { Service } from './service.ts';
import { holdTerm, type Way } from './term.ts';
import type { Timing } from './timing.ts';

export interface EndpointOptions {
  /** e.g. `smartnic.io/direct`. */
  readonly resource: string;
  /** The ways of registration that may be used. The better one comes first. */
  readonly ways: readonly [Way, ...Way[]];
  /** Kubelet's directory as this process sees it. */
  readonly kubeletDir: string;
  readonly timing: Timing;
  readonly log: Logger;
  readonly snapshot: () => Snapshot;
  readonly take: (ids: readonly string[]) => void;
  /** Called when kubelet begins to stream. */
  readonly taken: () => void;
  /** Called when the status changed. */
  readonly changed: () => void;
}

export interface EndpointStatus {
  readonly resource: string;
  /** `waiting`: kubelet is not there, or has not taken the resource yet. `refused`: kubelet said no. */
  readonly state: 'waiting' | 'registered' | 'refused';
  readonly way: Way;
  readonly socket?: string;
  /** The number of open ListAndWatch calls. */
  readonly streams: number;
  /** How many times kubelet has begun to stream since the start. */
  readonly registrations: number;
  /** Why the resource is not registered, in words. */
  readonly reason?: string;
}

export interface Endpoint {
  readonly status: EndpointStatus;
  /** Tells that what is offered or held has changed. */
  publish(): void;
  /** Sends kubelet its list even if it did not change. */
  repeat(): void;
  /** Tells that something happened in one of kubelet's directories. */
  look(): void;
  /** Ends the streams and removes the socket. */
  stop(): Promise<void>;
}

export const directoryOf = { watcher: 'plugins_registry', register: 'device-plugins' } as const satisfies Record<Way, string>;

export function openEndpoint(options: EndpointOptions): Endpoint {
  const { kubeletDir, log, resource, timing } = options;
  const bell = makeBell();
  let stopping = false;
  let service: Service | undefined;
  let status: EndpointStatus = { resource, state: 'waiting', way: options.ways[0], streams: 0, registrations: 0 };

  function note(state: EndpointStatus['state'], reason?: string): void {
    const { reason: before, ...rest } = status;
    const registrations = rest.registrations + (state === 'registered' ? 1 : 0);
    status = { ...rest, state, registrations, ...(reason === undefined ? {} : { reason }) };
    options.changed();
    if (stopping || (state === rest.state && reason === before)) return;
    if (state === 'registered') log.info({ resource, way: status.way, socket: status.socket }, 'kubelet has taken the resource');
    else log.warn({ resource, way: status.way, reason }, 'kubelet does not have the resource');
  }

  async function term(way: Way): Promise<{ readonly silent: boolean }> {
    try {
      const end = await holdTerm({
        ...options,
        way,
        directory: join(kubeletDir, directoryOf[way]),
        bell,
        stopping: () => stopping,
        opened: (opened, socket) => {
          service = opened;
          status = { ...status, way, socket };
        },
        registered: () => {
          note('registered');
          options.taken();
        },
        waiting: (reason) => note('waiting', reason),
      });
      note(end.refusal === undefined ? 'waiting' : 'refused', end.reason);
      return { silent: !end.asked && end.refusal === undefined };
    } catch (error) {
      note(error instanceof RegistrationRefused ? 'refused' : 'waiting', messageOf(error));
      return { silent: true };
    } finally {
      service = undefined;
    }
  }

  function presentWays(): readonly Way[] {
    return options.ways.filter((way) => existsOnHost(join(kubeletDir, directoryOf[way])));
  }

  /** A text that changes when kubelet starts. */
  function kubelet(): string {
    return [...presentWays(), findSocketIdentity(join(kubeletDir, 'device-plugins/kubelet.sock'))].join();
  }

  async function run(): Promise<void> {
    let pause = timing.firstPause;
    let avoid: Way | undefined;
    while (!stopping) {
      const present = presentWays();
      // A kubelet that silently ignores one way may know the other one.
      const way = present.find((one) => one !== avoid) ?? present[0] ?? options.ways[0];
      const { registrations } = status;
      const asked = kubelet();
      const { silent } = await term(way);
      avoid = silent ? way : undefined;
      if (status.registrations > registrations) pause = timing.firstPause;
      // A kubelet that has just started is asked at once, whatever the one before it said.
      else if (await bell.until(() => stopping || kubelet() !== asked, pause)) pause = timing.firstPause;
      else pause = Math.min(pause * 2, timing.longestPause);
    }
  }

  const running = run();
  return {
    get status() {
      return { ...status, streams: service?.streams ?? 0 };
    },
    publish: () => service?.publish(),
    repeat: () => service?.repeat(),
    look: bell.ring,
    async stop() {
      stopping = true;
      bell.ring();
      await running;
    },
  };
}
