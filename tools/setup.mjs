// `npm run setup [PART…]` makes a machine ready to build, test and show the project. It says what it will install before it does, and it asks for
// nothing. When something can't be had, it ends with status 3 and names what is missing. It is plain JavaScript without packages, because it runs
// on the Node that a fresh machine has. Without a PART it installs all that `npm test` needs.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const top = join(import.meta.dirname, '..');
/** An exit status, as in tools/exit.ts. */
const notPossibleHere = 3;
/** The limit of one installation, in milliseconds. A mirror may be slow. */
const limit = 15 * 60_000;
const library = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

/** The Debian packages of each part. Each has a file that shows whether the package is installed. */
const debian = {
  /** For tests, the demonstration and the benchmarks on this machine. */
  machine: {
    'openvswitch-switch': '/usr/sbin/ovs-vswitchd',
    iproute2: '/usr/sbin/ip',
    'iputils-ping': '/usr/bin/ping',
    'musl-tools': '/usr/bin/musl-gcc',
    gcc: '/usr/bin/gcc',
    'libc6-dev': '/usr/include/stdio.h',
    'containernetworking-plugins': '/usr/lib/cni/host-local',
    udhcpd: '/usr/sbin/udhcpd',
    openssl: '/usr/bin/openssl',
    libzmq5: `${library}/libzmq.so.5`,
    'dpdk-dev': '/usr/bin/dpdk-testpmd',
    'openvswitch-switch-dpdk': '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk',
  },
  /** For the image, where there is no container engine. */
  image: { buildah: '/usr/bin/buildah', mmdebstrap: '/usr/bin/mmdebstrap', 'python3-pip': '/usr/bin/pip3' },
  /** For the cluster's programs. runc is linked with libseccomp. Any version of Go will do, because an old one fetches the version that is needed. */
  cluster: { 'libseccomp-dev': '/usr/include/seccomp.h', pkgconf: '/usr/bin/pkg-config', 'golang-go': findGo() ?? '/usr/bin/go' },
  /** For images of the other architecture. */
  foreign: { 'qemu-user-static': '/usr/bin/qemu-aarch64-static' },
  /** For the tests of what ships for arm64: an emulator, a compiler and the C libraries. */
  arm64: {
    'qemu-user-static': '/usr/bin/qemu-aarch64-static',
    'gcc-aarch64-linux-gnu': '/usr/bin/aarch64-linux-gnu-gcc',
    'libc6-dev-arm64-cross': '/usr/aarch64-linux-gnu/include/stdio.h',
    'libstdc++6-arm64-cross': '/usr/aarch64-linux-gnu/lib/libstdc++.so.6',
  },
};
const usual = ['packages', 'machine', 'image', 'cluster'];
const known = ['packages', ...Object.keys(debian)];

const wanted = process.argv.length > 2 ? process.argv.slice(2) : usual;
const unknown = wanted.find((part) => !known.includes(part));
if (unknown !== undefined) {
  console.error(`setup: there is no part "${unknown}"; there are: ${known.join(', ')}`);
  process.exit(1);
}
if (!installPackages()) process.exit(1);
const missing = installDebian(Object.assign({}, ...wanted.map((part) => debian[part])));
for (const each of missing) console.error(`setup: missing for ${wanted.join(', ')}: ${each}`);
process.exitCode = missing.length === 0 ? 0 : notPossibleHere;

/** Installs the project's npm packages. Node 24 is among them. */
function installPackages() {
  if (packagesAreThere()) return true;
  say('the npm packages of package-lock.json, Node 24 among them (npm ci), into node_modules: about a minute');
  return (
    start('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { stdio: 'inherit' }) === undefined
  );
}

/** npm writes down what it has installed. Packages for other machines are not installed, and need not be. */
function packagesAreThere() {
  const [lock, note] = ['package-lock.json', 'node_modules/.package-lock.json'].map((name) => join(top, name));
  if (!existsSync(note) || !existsSync(join(top, 'node_modules/.bin/node'))) return false;
  const [locked, there] = [lock, note].map((file) => JSON.parse(readFileSync(file, 'utf8')).packages);
  return Object.entries(locked).every(([path, { version, optional }]) => {
    const found = there[path];
    return path === '' || (found === undefined ? optional === true : found.version === version);
  });
}

/** Returns what is still missing, in words. */
function installDebian(packages) {
  const absent = () => Object.keys(packages).filter((name) => !existsSync(packages[name]));
  const isRoot = process.getuid?.() === 0;
  const first = absent();
  if (first.length > 0 && isRoot && existsSync('/usr/bin/apt-get')) {
    say(`the Debian packages ${first.join(', ')}`);
    const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: ['ignore', 'ignore', 'inherit'] };
    // Only the programs are needed, and no running Open vSwitch on this machine.
    const install = ['install', '-y', '-qq', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0', ...first];
    const problem = start('apt-get', ['update', '-qq'], options) ?? start('apt-get', install, options);
    if (problem !== undefined) return [problem];
  }
  const still = absent();
  const files = still.map((name) => packages[name]).join(', ');
  const asked = Object.keys(packages).length > 0;
  return [
    ...(isRoot || !asked ? [] : ['root, for network namespaces and mounts (sudo npm …)']),
    ...(still.length === 0 ? [] : [`these files, of the Debian packages ${still.join(', ')}: ${files}`]),
  ];
}

/** Why it did not end well. Undefined when it did. */
function start(file, args, options) {
  const { status, signal, error } = spawnSync(file, args, { cwd: top, timeout: limit, killSignal: 'SIGKILL', ...options });
  if (status === 0) return undefined;
  const problem = `${file} ${args.join(' ')} ${error?.message ?? (signal === null ? `ended with status ${status}` : `died of ${signal}`)}`;
  console.error(`setup: ${problem}`);
  return problem;
}

function findGo() {
  const folders = [...(process.env.PATH ?? '').split(':').filter((folder) => folder !== ''), '/usr/local/go/bin', '/usr/bin'];
  return folders.map((folder) => join(folder, 'go')).find((file) => existsSync(file));
}

function say(text) {
  console.log(`==> setup: installing ${text}`);
}
