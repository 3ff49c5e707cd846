// One thing that is asked of the kernel and that it may keep for as long as it likes: a driver that does not let go of its device, firmware
// that is being flashed. A process of its own goes (errand.c), so that nothing of ours is kept with it: no thread, no lock, not our own end.
// Not for what only takes a while: netlink's threads do that.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Unavailable } from '../base/errors.ts';
import { SystemError } from '../kernel/libc.ts';
import { type Running, spawn } from './spawn.ts';

export interface Errand {
  /** What is attempted, for errors: `unbind 0000:41:10.0 from vfio-pci`. */
  readonly attempt: string;
  /** What is done, with which file; or with which netlink protocol, by its number. */
  readonly verb: 'write' | 'read' | 'open' | 'netlink';
  readonly object: string;
  readonly input?: string | Uint8Array;
  /** Where it is no note: what is asked, if the same is not to be asked again while the kernel keeps one of our errands with it. */
  readonly question?: string;
  /** A file that stays locked while the errand lasts, also beyond our own life: no second one with it is started. */
  readonly note?: string;
  /** Milliseconds. */
  readonly limit: number;
}

/** The exit status of one that found its note locked. */
const anotherIsOut = 75;
/** Milliseconds for one that was killed to be gone. One that the kernel keeps is not. */
const dying = 100;

/** Of this process' errands that the kernel keeps, by question: in words. */
const kept = new Map<string, string>();

/**
 * What the errand brought back. Throws SystemError when the kernel refused; Unavailable when it did not answer within the limit, and at once
 * while an earlier one with this note is still under way.
 */
export async function goErrand({ attempt, verb, object, input = '', note = '-', question, limit }: Errand): Promise<Buffer> {
  const out = question === undefined ? undefined : kept.get(question);
  if (out !== undefined) throw new Unavailable(`${attempt}: ${out}`);
  using running = spawn({ file: program(), args: [note, verb, object], env: {}, stdin: input });
  if (!(await running.ended(limit))) {
    running.kill();
    const late = `${attempt}: the kernel has not done it within ${limit / 1000} s`;
    if (await running.ended(dying)) throw new Unavailable(late);
    if (question !== undefined) keep(question, running);
    throw new Unavailable(`${late} and still keeps process ${running.pid} of ours ${where}; no other is sent until it ends`);
  }
  const { exitCode, signal, stdout, stderr } = running.result();
  if (exitCode === 0) return stdout;
  if (exitCode === anotherIsOut) throw new Unavailable(`${attempt}: ${underWay(stdout.toString())}`);
  if (exitCode === 1) throw new SystemError(attempt, Number(stdout));
  throw new Error(`${attempt}: ${program()} ended with ${exitCode ?? `signal ${signal}`}: ${stderr.toString().trim()}`);
}

function keep(question: string, running: Running): void {
  kept.set(question, `still under way since ${new Date().toISOString()}, in process ${running.pid} of ours ${where}`);
  void running.gone.then(() => kept.delete(question));
}

/** A process number of ours is none of the node's, where the server runs in a container; its name is the same. */
const where = '(pgrep -a smartnic-errand)';

/** @param note - `77 1716900000 write /sys/bus/pci/drivers/vfio-pci/unbind` */
function underWay(note: string): string {
  const [, pid, seconds, what] = /^(\d+) (\d+) (.*)$/m.exec(note) ?? [];
  if (pid === undefined) return 'an earlier step on it is still under way';
  const since = new Date(Number(seconds) * 1000).toISOString();
  return `still under way since ${since}: ${what}, which the kernel keeps process ${pid} of ours in ${where}`;
}

/** Beside our own file where it ships, in dist/ for the source. */
function program(): string {
  const places = ['./smartnic-errand', '../../dist/smartnic-errand'].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const found = places.find((each) => existsSync(each));
  if (found === undefined)
    throw new Error(`smartnic-errand is missing; it belongs at ${places.join(' or ')}: install all of dist/`);
  return found;
}
