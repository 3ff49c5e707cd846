// The demonstration on real VFs: the virtual machine of test/lab with an SR-IOV NIC, where a `direct` pod is on one bridge with a `normal` and a
// `virtio-forwarder` one, and with a pod that has all three.
import { type DirectMachine, startDirectMachine } from '../lab/direct-machine.ts';
import { LabUnavailable } from '../lab/ensure.ts';
import { startForwarder, untilAnswered } from '../lab/forwarder.ts';
import { plugAllTypes, uplinks } from '../lab/three-types.ts';
import { table } from '../support/table.ts';
import { figureOf, floodCommand, type Shown, step } from './show.ts';

/** Only said where the machine's packages can't be had. */
export async function showLab(): Promise<Shown> {
  step('virtual SmartNIC machine: booting it, about a minute; the first time two more, to fetch its packages (0.5 GB)');
  try {
    await using machine = await startDirectMachine();
    return await showTypes(machine);
  } catch (error) {
    if (!(error instanceof LabUnavailable)) throw error;
    step(`virtual SmartNIC machine: not shown, ${error.message}`);
    return { rows: [], left: [] };
  }
}

async function showTypes(machine: DirectMachine): Promise<Shown> {
  const { lab, node } = machine;
  step('virtual SmartNIC machine: starting the forwarder, and plugging pods of all three types');
  const forwarder = await startForwarder(machine);
  const clean = `${await machine.state()}\n${await forwarder.left()}`;
  for (const pf of uplinks) await node.vsctl('add-port', 'br0', await machine.pfNetdev(pf));
  const pods: Awaited<ReturnType<typeof machine.pod>>[] = [];
  const pod: typeof machine.pod = async (resources, config) => {
    const made = await machine.pod(resources, config);
    pods.push(made);
    return made;
  };
  const { near, targets, more } = await plugAllTypes({ machine, forwarder, pod });
  const plugged = targets.map((each) => [each.pod.netnsName, each.type, each.vf, each.address]);
  console.log(`\n${table(['pod', 'type', 'VF', 'address'], plugged)}\n`);
  const rows: (readonly string[])[] = [];
  for (const target of targets) {
    step(`virtual SmartNIC machine: pinging ${target.address}, ${target.type}`);
    await untilAnswered(lab, near.netnsName, target.address);
    const said = await lab.sh(`ip netns exec ${near.netnsName} ${floodCommand(300, target.address).join(' ')} || true`, {
      timeout: 120,
    });
    rows.push([
      target.type,
      target.vf === '' ? 'virtual machine' : `virtual machine; VF ${target.vf}`,
      `${near.netnsName} - ${target.pod.netnsName}`,
      figureOf(said),
    ]);
  }
  step('virtual SmartNIC machine: taking the pods away');
  // Kubelet ends the programs of a pod before its DEL.
  await lab.sh(`pkill -KILL -f '^dpdk-testpmd .*server=1' || true`);
  for (const call of more) await node.cni('DEL', call);
  for (const each of pods) {
    await node.cni('DEL', each.call);
    await machine.end(each);
  }
  for (const pf of uplinks) await node.vsctl('del-port', await machine.pfNetdev(pf));
  const now = new Set(`${await machine.state()}\n${await forwarder.left()}`.split('\n'));
  return { rows, left: [...now.difference(new Set(clean.split('\n')))] };
}
