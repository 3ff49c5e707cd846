// The switch of a two-port NIC in the guest: netdevsim, patched to be the switch of two igb PFs, as one embedded switch carries all ports
// of a card. Each PF gets an uplink and a representor per VF, and answers devlink by its PCI address. What a representor hands on comes
// out of a port of one more netdevsim, which a test puts where the VF's other end is.
import { pfs } from './hardware.ts';
import type { Lab } from './lab.ts';

/** The PFs that have a switch then, in the order of their PF numbers. */
export const switched = [pfs[0], pfs[1]] as const;

/** Ports for the other ends. */
const ends = 4;

/** Both PFs go to switchdev mode; Open vSwitch starts anew, with hardware offload on. */
export async function startSwitch(lab: Lab): Promise<void> {
  await lab.sh(`
    set -e
    ${trust('on')}
    modprobe -a psample act_mirred cls_flower
    modprobe netdevsim parents=${switched.map(({ address }) => address).join(',')}
    for pf in 0 1; do
      echo "$pf 1" >/sys/bus/netdevsim/new_device
      echo 7 >/sys/kernel/debug/netdevsim/netdevsim$pf/max_vfs
      echo 7 >/sys/bus/netdevsim/devices/netdevsim$pf/sriov_numvfs
    done
    echo "10 ${ends}" >/sys/bus/netdevsim/new_device
    ${switched.map(({ address }) => `devlink dev eswitch set pci/${address} mode switchdev`).join('\n')}
    for netdev in $(cd /sys/class/net; grep -l . */phys_port_name 2>/dev/null | cut -d/ -f1); do
      ethtool -K $netdev hw-tc-offload on
    done
    ovs-vsctl --no-wait set Open_vSwitch . other_config:hw-offload=true
  `);
  await restartOvs(lab);
  await lab.sh('cat >/share/behind; chmod +x /share/behind', { input: behind });
}

export async function stopSwitch(lab: Lab): Promise<void> {
  await lab.sh(`
    for device in 10 1 0; do echo $device >/sys/bus/netdevsim/del_device; done
    modprobe -r netdevsim
    ${trust('off')}
    ovs-vsctl --no-wait remove Open_vSwitch . other_config hw-offload
  `);
  await restartOvs(lab);
}

/** With a switch of its own igb does not tell the VFs what MAC is theirs, so it must let them say so. */
function trust(word: 'on' | 'off'): string {
  const lines = switched.map(
    ({ address }) => `
    igb=$(ls /sys/bus/pci/devices/${address}/net)
    for vf in 0 1 2 3 4 5 6; do ip link set dev $igb vf $vf trust ${word}; done
  `,
  );
  return lines.join('');
}

/** Restarts both processes of Open vSwitch, as an upgrade of its package does. */
export async function restartOvs(lab: Lab): Promise<void> {
  await lab.sh(`
    ovs-appctl -t ovs-vswitchd exit
    ovs-appctl -t ovsdb-server exit
    while pidof ovs-vswitchd ovsdb-server >/dev/null; do sleep 0.1; done
    ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile --detach --log-file --no-chdir
    ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --log-file --no-chdir
    ovs-vsctl --timeout=30 show >/dev/null
  `);
}

/** A netdev in that namespace, with that address, which gets the frames that the representor sends. */
export async function putBehind(lab: Lab, representor: string, netns: string, address: string): Promise<void> {
  await lab.sh(`/share/behind ${representor} ${netns} ${address}`);
}

/** REPRESENTOR NETNS ADDRESS: a free port for the other ends goes there. */
const behind = `#!/bin/bash
set -e
port=$(ls /sys/bus/netdevsim/devices/netdevsim10/net | head -1)
ip link set dev $port netns $2
exec 5</proc/self/ns/net 6</run/netns/$2
echo "5:$(cat /sys/class/net/$1/ifindex) 6:$(ip -n $2 -o link show dev $port | cut -d: -f1)" >/sys/bus/netdevsim/link_device
ip -n $2 addr add $3 dev $port
ip -n $2 link set dev $port up
`;
