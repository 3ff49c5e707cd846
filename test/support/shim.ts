// The shim for tests: compiled as it ships and with sanitizers, started as a runtime does, against a server that a test scripts.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSync } from '../../tools/program.ts';

const repository = join(import.meta.dirname, '../..');
const kinds = { 'as it ships': compileStatic, 'with sanitizers': compileSanitized } as const satisfies Record<string, Compile>;
/** Gives what is missing, if anything is. */
type Compile = (output: string, flags: readonly string[]) => string | undefined;

export interface Shim {
  readonly sanitized: boolean;
  /** Of the executable itself, and of one that gives up after 600 ms instead of 110 s. */
  readonly path: string;
  readonly impatient: string;
}

/** Describes the tests once for each way to compile; skips, saying why, where a compiler or a sanitizer is missing. */
export function describeShim(title: string, tests: (shim: Shim) => void): void {
  for (const [kind, compile] of Object.entries(kinds)) {
    const directory = mkdtempSync(join(tmpdir(), 'smartnic-shim-'));
    const shim = {
      sanitized: kind !== 'as it ships',
      path: join(directory, 'smartnic'),
      impatient: join(directory, 'impatient'),
    };
    describe(`${title} (${kind})`, () => {
      before(function () {
        chmodSync(directory, 0o755);
        const missing = compile(shim.path, []) ?? compile(shim.impatient, ['-DTOTAL_LIMIT_MS=600']);
        if (missing === undefined) return;
        console.log(`    skipped: ${missing}`);
        this.skip();
      });
      tests(shim);
    });
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  }
}

function compileStatic(output: string, flags: readonly string[]): string | undefined {
  if (!has('musl-gcc') && !has('gcc')) return 'no musl-gcc and no gcc on this machine';
  runSync(process.execPath, [join(repository, 'tools/shim.mjs'), output, ...flags], { stdio: ['ignore', 'ignore', 'inherit'] });
  return undefined;
}

function compileSanitized(output: string, flags: readonly string[]): string | undefined {
  if (!has('gcc')) return 'no gcc on this machine';
  if (!runSync('gcc', ['-print-file-name=libasan.so']).stdout.startsWith('/')) return 'gcc has no libasan on this machine';
  const usual = ['-std=c11', '-g', '-Wall', '-Wextra', '-Wconversion', '-Werror', '-DVERSION="test"'];
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  runSync('gcc', [...usual, ...flags, ...sanitizers, '-o', output, join(repository, 'cni/shim/smartnic.c')]);
  return undefined;
}

/** Whether a program is there, by its own word. */
export function has(program: string): boolean {
  return runSync(program, ['--version'], { stdio: 'ignore', reject: false }).exitCode === 0;
}

export interface Call {
  readonly command?: string;
  readonly socket?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** stdin, which is then closed; `null` leaves it open and silent. */
  readonly input?: string | Buffer | null;
  /** Redirections or assignments of a shell that then becomes the executable, such as `>&-`. */
  readonly redirect?: string;
  readonly uid?: number;
}

export interface Ended {
  readonly exit: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly ms: number;
}

/** Starts an executable as a runtime does. A sanitizer's report makes it fail, whatever else the test looks at. */
export function start(executable: string, call: Call): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const env = { ...(call.command === undefined ? {} : { CNI_COMMAND: call.command }), ...call.env };
  const options = {
    env: call.socket === undefined ? env : { ...env, SMARTNIC_SOCKET: call.socket },
    stdio: ['pipe', 'pipe', 'pipe'] satisfies StdioOptions,
    ...(call.uid === undefined ? {} : { uid: call.uid, gid: call.uid }),
  };
  const began = performance.now();
  const args = call.args ?? [];
  const shell = ['-c', `exec "$0" "$@" ${call.redirect}`, executable, ...args];
  const child = call.redirect === undefined ? spawn(executable, args, options) : spawn('/bin/sh', shell, options);
  const output: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  child.stdout.on('data', (bytes: Buffer) => output.stdout.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => output.stderr.push(bytes));
  child.stdin.on('error', () => {}); // the executable may end before it has read everything
  if (call.input !== null) child.stdin.end(call.input ?? '{}');
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit, signal) => {
      child.stdin.destroy();
      const stderr = Buffer.concat(output.stderr).toString();
      if (/Sanitizer|runtime error/.test(stderr)) reject(new Error(stderr));
      resolve({ exit, signal, stdout: Buffer.concat(output.stdout), stderr, ms: performance.now() - began });
    });
  });
  return { child, ended };
}

export interface Asked {
  readonly header: string;
  readonly env: readonly string[];
  readonly stdin: Buffer;
  /** How many connections there were before this one. */
  readonly before: number;
}

export interface Server extends AsyncDisposable {
  readonly asked: readonly Asked[];
  readonly connections: () => number;
}

/** Listens at a path and reads requests; `reply` runs when a request is complete, `connected` (if any) instead of reading. */
export async function serve(
  path: string,
  reply: (connection: Socket, asked: Asked) => unknown,
  connected?: (connection: Socket, before: number) => boolean,
): Promise<Server> {
  const asked: Asked[] = [];
  const open = new Set<Socket>();
  let count = 0;
  const server = createServer((connection) => {
    const before = count++;
    open.add(connection);
    connection.on('error', () => {});
    connection.on('close', () => open.delete(connection));
    if (connected?.(connection, before)) return;
    let bytes = Buffer.alloc(0);
    connection.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      const request = parse(bytes, before);
      if (request === undefined) return;
      asked.push(request);
      connection.removeAllListeners('data');
      reply(connection, request);
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  const close = async () => {
    for (const connection of open) connection.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { asked, connections: () => count, [Symbol.asyncDispose]: close };
}

function parse(bytes: Buffer, before: number): Asked | undefined {
  const newline = bytes.indexOf('\n');
  const [, env, stdin] = /^smartnic\/1 (\d+) (\d+)$/.exec(bytes.toString('latin1', 0, newline)) ?? [];
  if (env === undefined || bytes.length < newline + 1 + Number(env) + Number(stdin)) return undefined;
  const entries = bytes
    .subarray(newline + 1, newline + 1 + Number(env))
    .toString('latin1')
    .split('\0');
  if (entries.pop() !== '') throw new Error('the environment does not end with NUL');
  const rest = bytes.subarray(newline + 1 + Number(env));
  return { header: bytes.toString('latin1', 0, newline), env: entries, stdin: rest, before };
}

/** A whole answer as bytes. */
export function answer(stdout: string | Buffer, stderr: string | Buffer = '', exit = 0): Buffer {
  const [out, err] = [Buffer.from(stdout), Buffer.from(stderr)];
  return Buffer.concat([Buffer.from(`+\n${exit} ${out.length} ${err.length}\n`), out, err]);
}
