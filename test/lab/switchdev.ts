// A NIC in switchdev mode in the guest: netdevsim, whose VFs are no PCI functions. Their representors are ports of a switch as those of
// real NICs are; what is behind each is a port of a second netdevsim, in a namespace of its own, linked to it.
import type { Lab } from './lab.ts';

export interface SwitchdevVf {
  /** Its netdev in `netns`. */
  readonly netdev: string;
  readonly netns: string;
  readonly representor: string;
}

export interface SwitchdevNic {
  /** As devlink names it. */
  readonly name: string;
  readonly uplink: string;
  readonly vfs: readonly SwitchdevVf[];
}

/** Makes one with `count` VFs, in namespaces `vf0`, `vf1`, ...; all links are up and offload what tc gives them. */
export async function makeSwitchdevNic(lab: Lab, count: number): Promise<SwitchdevNic> {
  const lines = await lab.sh(script, { input: `${count}` });
  const [uplink = '', ...vfs] = lines.split('\n');
  return {
    name: 'netdevsim/netdevsim10',
    uplink,
    vfs: vfs.map((line) => {
      const [netns = '', netdev = '', representor = ''] = line.split(' ');
      return { netns, netdev, representor };
    }),
  };
}

const script = `
  set -e
  read -r count || true
  modprobe -a psample act_mirred cls_flower netdevsim
  nic=/sys/bus/netdevsim/devices/netdevsim10 behind=/sys/bus/netdevsim/devices/netdevsim11
  echo '10 1' >/sys/bus/netdevsim/new_device
  echo $count >$nic/sriov_numvfs
  devlink dev eswitch set netdevsim/netdevsim10 mode switchdev
  echo "11 $count" >/sys/bus/netdevsim/new_device

  port() {
    for netdev in $(ls $nic/net); do
      [ "$(cat /sys/class/net/$netdev/phys_port_name)" != "$1" ] || { echo $netdev; return; }
    done
    echo "no port $1 on $nic" >&2
    return 1
  }
  offloads() { ethtool -K $1 hw-tc-offload on && ip link set dev $1 up; }

  uplink=$(port p1)
  offloads $uplink
  echo $uplink
  vf=0
  for netdev in $(ls $behind/net); do
    representor=$(port pf0vf$vf)
    ip netns add vf$vf
    ip link set dev $netdev netns vf$vf
    inside=$(ip -n vf$vf -oneline link show dev $netdev | cut -d: -f1)
    exec 5</proc/self/ns/net 6</run/netns/vf$vf
    echo "5:$(cat /sys/class/net/$representor/ifindex) 6:$inside" >/sys/bus/netdevsim/link_device
    exec 5<&- 6<&-
    offloads $representor
    ip -n vf$vf link set dev $netdev up
    echo vf$vf $netdev $representor
    vf=$((vf + 1))
  done
`;
