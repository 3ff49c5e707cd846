// Makes a machine ready to build, test and show the project, and says what it does. Plain JavaScript without packages: it runs on the
// Node that a fresh machine has, before anything is installed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const top = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** Debian packages, and a file of each by which it is known to be there. */
const debian = {
  'openvswitch-switch': '/usr/sbin/ovs-vswitchd',
  iproute2: '/usr/sbin/ip',
  'iputils-ping': '/usr/bin/ping',
  'musl-tools': '/usr/bin/musl-gcc',
  gcc: '/usr/bin/gcc',
  'libc6-dev': '/usr/include/stdio.h',
  'containernetworking-plugins': '/usr/lib/cni/host-local',
  openssl: '/usr/bin/openssl',
  libzmq5: `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libzmq.so.5`,
  'dpdk-dev': '/usr/bin/dpdk-testpmd',
  'openvswitch-switch-dpdk': '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk',
};

/** For `npm run build:image`, where there is no container engine. */
const imageTools = { buildah: '/usr/bin/buildah', mmdebstrap: '/usr/bin/mmdebstrap', 'python3-pip': '/usr/bin/pip3' };

/** Go of any version: an older one fetches the one that is needed (test/cluster/build/toolchain.ts). */
const goPlaces = [...(process.env.PATH ?? '').split(':').filter((folder) => folder !== ''), '/usr/local/go/bin', '/usr/bin'];

/** For the programs of `npm run test:cluster`: runc is linked with libseccomp. */
const clusterTools = {
  'libseccomp-dev': '/usr/include/seccomp.h',
  pkgconf: '/usr/bin/pkg-config',
  'golang-go': goPlaces.map((folder) => join(folder, 'go')).find((file) => existsSync(file)) ?? '/usr/bin/go',
};

/** For `npm run test:arm64`: an emulator, a compiler and the C libraries for arm64. */
const arm64Tools = {
  'qemu-user-static': '/usr/bin/qemu-aarch64-static',
  'gcc-aarch64-linux-gnu': '/usr/bin/aarch64-linux-gnu-gcc',
  'libc6-dev-arm64-cross': '/usr/aarch64-linux-gnu/include/stdio.h',
  'libstdc++6-arm64-cross': '/usr/aarch64-linux-gnu/lib/libstdc++.so.6',
};

/** The project's packages, by the lock file; not where a stage of the Dockerfile has them from the one before. */
export function installPackages() {
  if (process.env.SMARTNIC_PACKAGES === 'installed') return;
  const stamp = join(top, 'node_modules/.smartnic-lock');
  const lock = createHash('sha256')
    .update(readFileSync(join(top, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  step('installing the packages of package-lock.json (npm ci), about a minute');
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: top, stdio: 'inherit' });
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

/** What the machine lacks for the machine tests, in words; empty when it is ready. Installs what it can. */
export function prepareMachine() {
  return prepare(debian, 'network namespaces and Open vSwitch need it');
}

/** The same for building the image. */
export function prepareImage() {
  return prepare(imageTools, 'a root folder for the image is made');
}

/** The same for building it for the other architecture. */
export function prepareForeignImage() {
  return [...prepareImage(), ...prepare({ 'qemu-user-static': arm64Tools['qemu-user-static'] }, 'the same')];
}

/** The same for a cluster, on top of what the machine tests need. */
export function prepareCluster() {
  return [...prepareMachine(), ...prepareImage(), ...prepare(clusterTools, 'a node is made')];
}

/** The same for what is of arm64, on top of what the machine tests need. */
export function prepareArm64() {
  return [...prepareMachine(), ...prepare(arm64Tools, 'its tests are machine tests')];
}

function prepare(packages, rootIsFor) {
  const absent = () => Object.keys(packages).filter((name) => !existsSync(packages[name]));
  const missing = absent();
  const isRoot = process.getuid?.() === 0;
  if (missing.length > 0 && isRoot && existsSync('/usr/bin/apt-get')) {
    step(`installing Debian packages: ${missing.join(' ')}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const stdio = ['ignore', 'ignore', 'inherit'];
    try {
      execFileSync('apt-get', ['update', '-qq'], { env, stdio });
      // Only their programs are wanted, not a running Open vSwitch on this machine.
      const quiet = ['-o', 'Dpkg::Use-Pty=0'];
      execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...quiet, ...missing], { env, stdio });
    } catch (error) {
      return [`Debian packages could not be installed: ${error.message}`];
    }
  }
  const still = absent();
  return [
    ...(isRoot ? [] : [`root: ${rootIsFor} (sudo npm …)`]),
    ...(still.length > 0
      ? [`these programs, in Debian's packages ${still.join(', ')}: ${still.map((name) => packages[name]).join(', ')}`]
      : []),
  ];
}

export function step(text) {
  console.log(`==> ${text}`);
}
