// The guest's root folder: programs of Debian packages, put in order as their maintainer scripts would have done.
import { appendFile, copyFile, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unpackPackages } from './apt.ts';
import { inside } from './chroot.ts';

const packages = [
  'base-files base-passwd bash busybox-static coreutils dash diffutils findutils grep gzip hostname libc-bin mawk procps psmisc sed',
  'socat strace tar util-linux mount udev kmod pciutils ethtool iproute2 iputils-ping tcpdump iperf3 jq netbase',
  'openvswitch-switch openvswitch-switch-dpdk openvswitch-common containernetworking-plugins libstdc++6 libatomic1',
  'dpdk-dev librte-bus-pci25 librte-bus-vdev25 librte-mempool-ring25 librte-net-e1000-25 librte-net-vhost25 librte-net-virtio25',
  'librte-net-af-packet25 librte-net-null25 librte-net-ring25 librte-net-tap25 librte-net-pcap25 librte-net-memif25',
].flatMap((line) => line.split(' '));

/** DPDK loads every driver that lies in its folder: all 190 take seconds under emulation. */
const drivers = /^librte_(bus_pci|bus_vdev|mempool_ring|net_(e1000|vhost|virtio|af_packet|null|ring|tap|pcap|memif))\./;
const driverFolder = 'usr/lib/x86_64-linux-gnu/dpdk/pmds-25.0';
const users = ['/usr/bin/dpdk-testpmd', '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk'];

const links = {
  'usr/bin/awk': 'mawk',
  'usr/bin/which': 'busybox',
  'var/run': '/run',
  'usr/sbin/ovs-vswitchd': '../lib/openvswitch-switch/ovs-vswitchd',
  'usr/sbin/ovs-vswitchd-dpdk': '../lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk',
};

export async function buildRoot(into: string): Promise<string> {
  const said = await unpackPackages('root', packages, into);
  for (const each of ['doc', 'man', 'locale', 'info']) await rm(join(into, 'usr/share', each), { recursive: true, force: true });
  for (const each of ['proc', 'sys', 'dev', 'run', 'tmp', 'share', 'opt', 'root', 'etc/openvswitch', 'var/log/openvswitch'])
    await mkdir(join(into, each), { recursive: true });
  for (const [name, target] of Object.entries(links)) await relink(join(into, name), target);
  await nameUsers(join(into, 'etc'), join(into, 'usr/share/base-passwd'));
  await prune(into);
  return said;
}

async function relink(path: string, target: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, path);
}

async function nameUsers(etc: string, masters: string): Promise<void> {
  for (const name of ['passwd', 'group']) await copyFile(join(masters, `${name}.master`), join(etc, name));
  await appendFile(join(etc, 'passwd'), 'openvswitch:x:990:990::/nonexistent:/usr/sbin/nologin\n');
  await appendFile(join(etc, 'group'), 'openvswitch:x:990:\n');
  await writeFile(join(etc, 'hosts'), '127.0.0.1 localhost lab\n');
  await writeFile(join(etc, 'hostname'), 'lab\n');
}

/** Leaves the drivers in use, and what the programs are linked with. */
async function prune(into: string): Promise<void> {
  const [folder, aside] = [join(into, driverFolder), join(into, 'pmds-aside')];
  await mkdir(aside);
  for (const name of await readdir(folder)) if (!drivers.test(name)) await rename(join(folder, name), join(aside, name));
  // Drivers need each other, and are no libraries by their place.
  await writeFile(join(into, 'etc/ld.so.conf.d/dpdk.conf'), `/${driverFolder}\n`);
  for (;;) {
    const listed = await inside(
      into,
      'ldconfig; for each; do ldd "$each" || true; done',
      ...users,
      ...(await sharedObjects(folder)),
    );
    const lost = new Set([...listed.matchAll(/^\s*(\S+) => not found/gm)].flatMap(([, name]) => name ?? []));
    const back = (await readdir(aside)).filter((name) =>
      [...lost].some((each) => name.startsWith(each.replace(/\.so.*/, '.so'))),
    );
    for (const name of back) await rename(join(aside, name), join(folder, name));
    if (back.length > 0) continue;
    if (lost.size > 0) throw new Error(`no package gives ${[...lost].join(', ')}, which ${users.join(' or ')} needs`);
    break;
  }
  await rm(aside, { recursive: true });
}

async function sharedObjects(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).map((name) => `/${driverFolder}/${name}`);
}
