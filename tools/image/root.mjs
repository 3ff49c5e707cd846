// Makes an image's root folder: node tools/image/root.mjs FOLDER [--with-dpdk]. The Dockerfile's build stages run it with nothing but Node.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

const [root = '', option] = process.argv.slice(2);
const dist = resolve(import.meta.dirname, '../../dist');
const dpdk = option === '--with-dpdk' ? dpdkFiles() : [];
const programs = ['/usr/local/bin/node', '/usr/bin/env', '/usr/bin/timeout'];
const native = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.node'));

for (const path of [...programs, ...dpdk]) put(path);
execFileSync('strip', ['--strip-unneeded', join(root, '/usr/local/bin/node')], { timeout: 180_000 });
for (const library of new Set([...programs, ...dpdk, ...native.map((name) => join(dist, name))].flatMap(librariesOf)))
  put(library);
cpSync(dist, join(root, 'opt/smartnic'), { recursive: true });
for (const name of ['tmp', 'run', 'var', 'etc', 'proc', 'sys', 'dev']) mkdirSync(join(root, name), { recursive: true });
if (!existsSync(join(root, 'var/run'))) symlinkSync('../run', join(root, 'var/run'));
writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/none\nsmartnic:x:65532:65532:smartnic:/:/none\n');
writeFileSync(join(root, 'etc/group'), 'root:x:0:\nsmartnic:x:65532:\n');

// Now the programs start with nothing but what is in the root.
for (const program of ['smartnic-cni', 'smartnic-device-plugin', 'smartnic-admission', 'smartnic-install', 'smartnic'])
  inside(`/opt/smartnic/${program}.mjs`, '--help');
inside('/opt/smartnic/smartnic', '--version');
inside('/opt/smartnic/smartnic-errand', '-', 'read', '/opt/smartnic/smartnic-cni.mjs');
inside('/usr/bin/timeout', '--version');
if (dpdk.length > 0) inside('/usr/bin/dpdk-testpmd', '--help');

function inside(...command) {
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env: { PATH: '/usr/local/bin' } };
  const limits = { timeout: 60_000, killSignal: 'SIGKILL' };
  try {
    execFileSync('/usr/sbin/chroot', [root, ...command], { ...options, ...limits });
  } catch (error) {
    // Under emulation on a busy machine a start may take long. It does no harm when it is repeated.
    if (error.code !== 'ETIMEDOUT') throw error;
    console.error(`hung, and was killed after ${limits.timeout / 1000} s: ${command.join(' ')}; trying once more`);
    execFileSync('/usr/sbin/chroot', [root, ...command], { ...options, ...limits });
  }
}

/** Copies the file that `path` leads to. Other names of a library in the same folder stay links. */
function put(path) {
  if (existsSync(join(root, path))) return;
  const real = realpathSync(path);
  mkdirSync(join(root, dirname(path)), { recursive: true });
  if (dirname(real) !== realpathSync(dirname(path)) || basename(real) === basename(path)) return cpSync(real, join(root, path));
  put(join(dirname(path), basename(real)));
  symlinkSync(basename(real), join(root, path));
}

/** The libraries that ldd lists, including the dynamic linker. */
function librariesOf(file) {
  const listed = execFileSync('ldd', [file], { encoding: 'utf8', timeout: 60_000 });
  if (listed.includes('not found')) throw new Error(`${file}: ${listed}`);
  return [...listed.matchAll(/(?:=>\s+|^\s+)(\/\S+)/gm)].map(([, path]) => path);
}

/** testpmd, and its drivers: for network devices, for the buses they are on, and for what those share. testpmd loads all drivers in the folder. */
function dpdkFiles() {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
  const libraries = `/usr/lib/${machine}-linux-gnu`;
  const [version = ''] = readdirSync(`${libraries}/dpdk`).filter((name) => name.startsWith('pmds-'));
  const folder = `${libraries}/dpdk/${version}`;
  const wanted = /^librte_(bus_(auxiliary|pci|vdev)|common_\w+|mempool_ring|net_\w+)\.so\.\d+\.\d+$/;
  // Drivers need each other, but the linker does not look for libraries in their folder.
  writeFileSync('/etc/ld.so.conf.d/dpdk.conf', `${folder}\n`);
  execFileSync('ldconfig', { timeout: 60_000 });
  mkdirSync(join(root, 'etc'), { recursive: true });
  cpSync('/etc/ld.so.cache', join(root, 'etc/ld.so.cache'));
  return [
    '/usr/bin/dpdk-testpmd',
    ...readdirSync(folder)
      .filter((name) => wanted.test(name))
      .map((name) => `${folder}/${name}`),
  ];
}
