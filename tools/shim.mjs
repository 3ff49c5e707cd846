// Compiles one C program. Plain Node, so that a build needs only a C compiler: node tools/shim.mjs [OUTPUT] [COMPILER FLAGS...]
// The default OUTPUT is dist/smartnic, which is the shim. Another program is chosen by OUTPUT's name, if it is in `sources`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

const here = import.meta.dirname;
const top = resolve(here, '..');
const [output = resolve(top, 'dist/smartnic'), ...flags] = process.argv.slice(2);
const sources = { 'smartnic-errand': 'host/program/errand.c', 'smartnic-probe': 'host/program/probe.c' };
const source = sources[basename(output)] ?? 'cni/shim/smartnic.c';
const { version } = JSON.parse(readFileSync(resolve(top, 'package.json'), 'utf8'));

const compiler = ['musl-gcc', 'gcc'].find(isThere);
if (compiler === undefined) {
  console.error(
    'build: no C compiler for the shim: install musl-gcc (Debian: musl-tools, Fedora: musl-gcc), or gcc with a static libc',
  );
  process.exit(1);
}
if (compiler === 'gcc') console.error('build: musl-gcc is not there; gcc -static makes the shim about 700 KB instead of 50');
mkdirSync(dirname(resolve(output)), { recursive: true });
try {
  execFileSync(
    compiler,
    [
      ...['-std=c11', '-Os', '-static', '-s', '-Wall', '-Wextra', '-Werror', `-DVERSION="${version}"`],
      ...flags,
      ...['-o', output, resolve(top, source)],
    ],
    { stdio: 'inherit', timeout: 120_000, killSignal: 'SIGKILL' },
  );
} catch (error) {
  console.error(`build: ${compiler} could not make ${output}: ${error.message}`);
  process.exit(1);
}
console.log(`${output} (${compiler}, ${statSync(output).size} bytes)`);

function isThere(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore', timeout: 30_000, killSignal: 'SIGKILL' });
    return true;
  } catch {
    return false;
  }
}
