// Files that hold whoever touches them inside the kernel, so that not even SIGKILL ends the process. A sysfs file of a stuck driver does the
// same. This is a FUSE file system whose server reads every question and answers none. test/lab shows the same with a real driver.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, mkdtempSync, openSync, readSync, rmdirSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readable } from '../../host/kernel/libc.ts';

export interface HeldFiles extends AsyncDisposable {
  /** A file that holds whoever opens it. Link to it from where the program looks. Never touch it yourself: this process would hang for good. */
  readonly file: string;
  /** Lets everybody go, with an error (ENOTCONN), now and from now on. */
  release(): Promise<void>;
}

export function skipWithoutFuse(this: Mocha.Context): void {
  if (process.getuid?.() === 0 && existsSync('/dev/fuse')) return;
  console.log('    skipped: needs root and /dev/fuse');
  this.skip();
}

/** Source: linux/fuse.h. Its header of a question: length, opcode, a number that the answer repeats. */
export function startHeldFiles(): HeldFiles {
  const FUSE_INIT = 26;
  const folder = mkdtempSync(join(tmpdir(), 'held-'));
  const fd = openSync('/dev/fuse', constants.O_RDWR | constants.O_NONBLOCK);
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  execFileSync('mount', ['-i', '-t', 'fuse', '-o', options, 'held', folder], { stdio: ['ignore', 'ignore', 'inherit', fd] });
  const bytes = Buffer.alloc(256 * 1024);
  let open = true;

  const serve = async () => {
    while (open) {
      if (!(await readable(fd, 50)) || !open) continue;
      readSync(fd, bytes);
      if (bytes.readUInt32LE(4) === FUSE_INIT) writeSync(fd, welcome(bytes));
    }
  };
  const serving = serve();
  const release = async () => {
    if (!open) return;
    open = false;
    await serving;
    execFileSync('umount', ['--lazy', folder]);
    closeSync(fd);
    rmdirSync(folder);
  };
  return { file: join(folder, 'file'), release, [Symbol.asyncDispose]: release };
}

/** `fuse_out_header` and `fuse_init_out` of protocol 7.31. */
function welcome(question: Buffer): Buffer {
  const answer = Buffer.alloc(16 + 64);
  answer.writeUInt32LE(answer.length, 0);
  question.copy(answer, 8, 8, 16);
  answer.writeUInt32LE(7, 16);
  answer.writeUInt32LE(31, 20);
  answer.writeUInt16LE(12, 32); // max_background
  answer.writeUInt32LE(4096, 36); // max_write
  return answer;
}
