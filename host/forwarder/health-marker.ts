// Tells the device plugin how the forwarder is: a marker file beside those of quarantined vfs (host/nic/quarantine.ts), which it watches. The
// forwarder is asked by the CNI server alone: its sockets are not the device plugin's to open.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Machine } from '../base/machine.ts';
import { onHost, readText } from '../kernel/sysfs.ts';
import { quarantineDir } from '../nic/quarantine.ts';
import type { Forwarder } from './forwarder.ts';

const marker = 'forwarder';

/** Why no virtio-forwarder port can be served, in the forwarder's words; undefined: the CNI server has not said that. */
export function readForwarderTrouble(host: Machine): string | undefined {
  return readText(join(onHost(host, quarantineDir), marker)) || undefined;
}

export interface TellOptions {
  /** Of the markers: quarantineDir, where the CNI server keeps its state in its usual place. */
  readonly directory: string;
  /** Absent: there is nothing to be said, and what was said before goes. */
  readonly forwarder: Forwarder | undefined;
  readonly log: Logger;
  /** Milliseconds between two questions. Default: 5000; 30 000 where Open vSwitch is asked, which looks at all its ports then. */
  readonly period?: number;
}

/** Asks at once and again and again until it is disposed. What was said last stays: without a CNI server no port is served either. */
export function tellHealth({ directory, forwarder, log, period }: TellOptions): AsyncDisposable {
  const ended = new AbortController();
  const path = join(directory, marker);
  const tell = async () => {
    try {
      mark(path, await forwarder?.health());
    } catch (error) {
      log.warn({ path, error: messageOf(error) }, "the forwarder's health can't be told to the device plugin");
    }
  };
  const keep = async () => {
    do {
      await tell();
      const pause = period ?? (forwarder?.port === undefined ? 5000 : 30_000);
      if (forwarder !== undefined) await sleep(pause, undefined, { signal: ended.signal, ref: false }).catch(() => {});
    } while (forwarder !== undefined && !ended.signal.aborted);
  };
  const keeping = keep();
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      await keeping;
    },
  };
}

function mark(path: string, trouble: string | undefined): void {
  const words = trouble?.replaceAll('\n', ' ');
  if (words === readText(path)) return;
  if (words === undefined) {
    rmSync(path, { force: true });
    return;
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, `${words}\n`);
}
