// The guest's kernel: Debian's, with the modules that tests need, and netdevsim, which Debian leaves out, built from Debian's source
// with our patch. It becomes `vmlinuz` and `root/usr/lib/modules/`.
import { copyFile, mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackPackages } from './apt.ts';
import { inside } from './chroot.ts';

const modules = [
  '9p 9pnet_virtio overlay virtio_net tun loop fuse',
  'igb igbvf vfio-pci vfio_iommu_type1 uio_pci_generic vhost_net vhost_vdpa virtio_vdpa',
  'openvswitch veth bridge br_netfilter 8021q vrf geneve vxlan macvlan ipvlan dummy bonding ifb psample nf_conntrack nf_nat',
  'act_mirred act_vlan act_tunnel_key act_ct act_gact act_skbedit act_csum act_pedit cls_flower cls_matchall sch_ingress',
  'sch_htb sch_tbf sch_fq_codel',
].flatMap((line) => line.split(' '));

const compiler = [
  'gcc-14 make binutils bash coreutils dash sed grep mawk findutils diffutils patch tar xz-utils kmod perl-base libelf1t64',
  'libc-bin base-files',
].flatMap((line) => line.split(' '));
const source = 'linux-source-6.12';
const names = ['ld', 'as', 'ar', 'nm', 'objcopy', 'objdump', 'strip', 'readelf'];
const patch = join(import.meta.dirname, '../guest/netdevsim.patch');

export async function buildKernel(into: string): Promise<string> {
  const work = join(into, 'work');
  // The headers of the kernel that the release has today: they and the kernel come from one look at the mirror.
  const packages = ['linux-image-amd64', 'linux-headers-amd64', source, ...compiler];
  const said = await unpackPackages('kernel', packages, work);
  const version = (await readdir(join(work, 'usr/lib/modules'))).find((name) => /^6\.12\.\d+\+deb13-amd64$/.test(name));
  if (version === undefined)
    throw new Error(`${said}, but none of them is a kernel 6.12 (found: ${await readdir(join(work, 'boot'))})`);
  await makeCompiler(work);
  await copyFile(patch, join(work, 'src/netdevsim.patch'));
  await inside(work, select, version, ...modules);
  await inside(work, compile, version, source);
  await inside(work, 'depmod -b /out "$1"', version);
  await copyFile(join(work, `boot/vmlinuz-${version}`), join(into, 'vmlinuz'));
  await mkdir(join(into, 'root/usr/lib'), { recursive: true });
  await rename(join(work, 'out/lib/modules'), join(into, 'root/usr/lib/modules'));
  await rm(work, { recursive: true });
  return said;
}

/** The links that packages' scripts would have made. */
async function makeCompiler(work: string): Promise<void> {
  const bin = join(work, 'usr/bin');
  for (const name of names) {
    await rm(join(bin, name), { force: true });
    await symlink(`x86_64-linux-gnu-${name}`, join(bin, name));
  }
  for (const name of ['gcc', 'x86_64-linux-gnu-gcc']) await symlink('x86_64-linux-gnu-gcc-14', join(bin, name));
  await symlink('mawk', join(bin, 'awk'));
  for (const name of ['src', 'tmp', 'out/lib/modules']) await mkdir(join(work, name), { recursive: true });
  await inside(work, 'ldconfig');
}

/** Copies modules and what they need, unpacked: the guest's kernel would unpack them at every boot. */
const select = `
  version=$1; shift
  [ -e /lib/modules/$version/modules.dep ] || depmod "$version"
  to=/out/lib/modules/$version
  mkdir -p "$to"
  cp /lib/modules/$version/modules.{order,builtin,builtin.modinfo} "$to/"
  for module; do
    modprobe -S "$version" --show-depends "$module" || { echo "the kernel has no module $module" >&2; exit 1; }
  done | awk '/^insmod/ { print $2 }' | sort -u | while read -r file; do
    copy=$to/\${file#*/modules/$version/}
    mkdir -p "\${copy%/*}"
    case $file in *.xz) xz -dc "$file" >"\${copy%.xz}" ;; *) cp "$file" "$copy" ;; esac
  done
`;

const compile = `
  export PATH=/usr/bin:/usr/sbin
  tar -C /src --strip-components=1 -xJf "/usr/src/$2.tar.xz" "$2/drivers/net/netdevsim"
  patch -s -d /src -p1 </src/netdevsim.patch
  make -s -C "/usr/src/linux-headers-$1" M=/src/drivers/net/netdevsim CONFIG_NETDEVSIM=m -j"$(nproc)" modules
  mkdir -p "/out/lib/modules/$1/extra"
  strip --strip-debug -o "/out/lib/modules/$1/extra/netdevsim.ko" /src/drivers/net/netdevsim/netdevsim.ko
`;
