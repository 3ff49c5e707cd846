// One relay: a dpdk-testpmd between a VF and a socket. It is started again with back-off when it dies. It outlives us, and we take over one that
// runs already.

import { setTimeout as sleep } from 'node:timers/promises';
import { backOff } from '../host/base/back-off.ts';
import { messageOf } from '../host/base/errors.ts';
import type { Logger } from '../host/base/log.ts';
import { limitSize } from '../host/files/plain.ts';
import type { Pair } from '../host/forwarder/forwarder.ts';
import { startDetached } from '../host/program/detached.ts';
import { isRunning, kill, type Process, processOf } from './processes.ts';
import { forwards, lastWords, longestLog } from './relay-log.ts';

export interface Relay {
  readonly pair: Pair;
  /** The CPU on which it forwards. */
  readonly worker: number;
  readonly status: string;
  /** Resolves when it forwards; throws testpmd's last words when it ends before. */
  ready(): Promise<void>;
  /** Resolves when its process is gone and no other will be started. */
  stop(): Promise<void>;
}

export interface RelayOptions {
  readonly pair: Pair;
  readonly worker: number;
  readonly program: string;
  readonly args: readonly string[];
  /** Where testpmd writes. */
  readonly logFile: string;
  readonly log: Logger;
  /** One that runs already. */
  readonly found: (Process & { readonly ready: boolean }) | undefined;
  /** Called when a process was started and when it begins to forward; again while it throws, which says nothing of the process. */
  readonly note: (process: Process & { readonly ready: boolean }) => void;
}

/** Milliseconds between two looks at a process; until it must forward; and of a life that is long enough for the back-off to start anew. */
const [glance, patience, longLife] = [100, 30_000, 10_000];

export function superviseRelay(options: RelayOptions): Relay {
  const { pair, worker, log, note } = options;
  const attempts = backOff();
  let running: Process | undefined = options.found;
  let isReady = options.found?.ready ?? false;
  let isNoted = false;
  let deaths = 0;
  let words = '';
  let stopping = false;

  const trouble = sayOnce(log, pair);
  /** Whatever fails here, the process goes on: only the kernel's word ends its life. */
  const look = (process: Process) => {
    if (stopping) kill(process);
    else if (!isReady && forwards(options.logFile)) {
      isReady = true;
      isNoted = false;
    }
    if (!isNoted && !stopping) note({ ...process, ready: isReady });
    isNoted = true;
    limitSize(options.logFile, longestLog);
  };
  const live = async (process: Process) => {
    isNoted = false;
    while (mayRun(process)) {
      try {
        look(process);
        trouble(undefined);
      } catch (error) {
        trouble(messageOf(error));
      }
      await sleep(glance);
    }
  };
  const supervise = async () => {
    while (!stopping) {
      const began = performance.now();
      try {
        running ??= start(options);
        await live(running);
        words = lastWords(options.logFile);
      } catch (error) {
        words = messageOf(error);
      }
      running = undefined;
      isReady = false;
      deaths += 1;
      if (stopping) return;
      log.warn({ ...pair, deaths, words }, 'a relay ended; starting it again');
      if (performance.now() - began > longLife) attempts.reset();
      await attempts.pause();
    }
  };
  const supervising = supervise();

  return {
    pair,
    worker,
    get status() {
      if (isReady) return `forwarding on CPU ${worker}, process ${running?.pid}`;
      return words === '' ? 'starting' : `down, ended ${deaths} times; it said last: ${words}`;
    },
    async ready() {
      const [before, end] = [deaths, performance.now() + patience];
      while (!isReady) {
        const what = `dpdk-testpmd between ${pair.device} and ${pair.socket}`;
        if (stopping) throw new Error(`${what} was detached while it started`);
        if (deaths > before) throw new Error(`${what} ended at once: ${words}`);
        if (performance.now() > end)
          throw new Error(`${what} does not forward after ${patience} ms: ${lastWords(options.logFile)}`);
        await sleep(glance / 2);
      }
    },
    async stop() {
      stopping = true;
      attempts.hurry();
      await supervising;
    },
  };
}

/** It gets a session of its own, so that neither our end nor a signal to our terminal ends it. */
function start({ program, args, logFile }: RelayOptions): Process {
  const pid = startDetached(program, args, logFile);
  if (pid === undefined) throw new Error(`${program} can't be started; is it installed (Debian: dpdk-dev), and executable?`);
  const process = processOrKill(pid);
  // It may have ended before anybody looked. Then its output says why.
  if (process === undefined) throw new Error(lastWords(logFile));
  return process;
}

/** One that can't be seen can't be supervised, and must not run beside the next one. */
function processOrKill(pid: number): Process | undefined {
  try {
    return processOf(pid);
  } catch (error) {
    kill({ pid });
    throw error;
  }
}

/** What can't be seen just now, for want of a descriptor for instance, is not gone. */
function mayRun(process: Process): boolean {
  try {
    return isRunning(process);
  } catch {
    return true;
  }
}

/** The same trouble ten times a second is said once. */
function sayOnce(log: Logger, pair: Pair): (trouble: string | undefined) => void {
  let last: string | undefined;
  return (trouble) => {
    if (trouble !== undefined && trouble !== last)
      log.warn({ ...pair, error: trouble }, "a relay goes on, but can't be looked after");
    last = trouble;
  };
}
