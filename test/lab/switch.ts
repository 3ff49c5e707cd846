// A NIC's switch in the guest: netdevsim in switchdev mode, with a representor for each of its VFs. It has no PCI functions, so a hook pairs
// the representors with igb's VFs, and a second netdevsim stands for the VFs' other ends when traffic is wanted.
import type { Lab } from './lab.ts';

/** Open vSwitch starts anew, with hardware offload on. */
export async function startSwitch(lab: Lab): Promise<void> {
  await lab.sh(`
    set -e
    modprobe -a psample netdevsim act_mirred cls_flower
    echo "10 1" >/sys/bus/netdevsim/new_device
    echo 4 >/sys/bus/netdevsim/devices/netdevsim10/sriov_numvfs
    devlink dev eswitch set netdevsim/netdevsim10 mode switchdev
    echo "11 4" >/sys/bus/netdevsim/new_device
    sleep 1
    for netdev in $(ls /sys/bus/netdevsim/devices/netdevsim10/net); do ethtool -K $netdev hw-tc-offload on; done
    ovs-vsctl --no-wait set Open_vSwitch . other_config:hw-offload=true
    ovs-appctl -t ovs-vswitchd exit
    while pidof ovs-vswitchd >/dev/null; do sleep 0.1; done
    ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --log-file --no-chdir
  `);
  await lab.sh('cat >/etc/smartnic/hooks.d/10-netdevsim; chmod +x /etc/smartnic/hooks.d/10-netdevsim', { input: hook });
  await lab.sh('cat >/share/behind; chmod +x /share/behind', { input: behind });
}

const hook = `#!/bin/sh
[ "$1" = representor ] || exit 0
index=$(sed 's/.*"index":\\([0-9]*\\).*/\\1/')
for netdev in /sys/class/net/*; do
  [ "$(cat $netdev/phys_port_name 2>/dev/null)" = "pf0vf$index" ] || continue
  basename $netdev
  exit 0
done
echo "no representor of VF $index" >&2
exit 1
`;

/** REPRESENTOR NETNS ADDRESS: a free port of the second netdevsim becomes what is behind the representor, in the namespace. */
const behind = `#!/bin/bash
set -e
port=$(ls /sys/bus/netdevsim/devices/netdevsim11/net | head -1)
ip link set dev $port netns $2
exec 5</proc/self/ns/net 6</run/netns/$2
echo "5:$(cat /sys/class/net/$1/ifindex) 6:$(ip -n $2 -o link show dev $port | cut -d: -f1)" >/sys/bus/netdevsim/link_device
ip -n $2 addr add $3 dev $port
ip -n $2 link set dev $port up
`;
