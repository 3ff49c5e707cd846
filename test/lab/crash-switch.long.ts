// kill -9 of the CNI server at every step of an ADD and of a DEL of `direct` whose VF has a representor on a bridge.
import { type CrashCase, crashSuites, legacyKernel } from './crash.ts';
import { type DirectMachine, endSharedMachine, sharedDirectMachine, vfio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';
import { startSwitch, stopSwitch, switched } from './switch.ts';
import { bindVfs, unbindVfs } from './vfs.ts';

after(endSharedMachine);

/** On a switch, where the VF has a representor on the bridge, and another driver before. */
const switchedVfio: CrashCase = {
  resource: vfio,
  config: { representor: 'auto', hooks: true, vlan: 5 },
  addSteps: [
    ...[
      'device claimed',
      'intent written',
      'before-plug hooks done',
      'vf mac set',
      'vf set',
      'driver override set',
      'driver unbound',
    ],
    ...['vf bound', 'representor up', 'port added', 'after-plug hooks done', 'committed'],
  ],
  delSteps: [
    ...['deletion noted', 'before-unplug hooks done', 'port removed', 'representor lowered', 'vf mac set', 'vf unset'],
    ...[
      'driver override set',
      'driver unbound',
      'netdev back',
      'vf released',
      'cable removed',
      'after-unplug hooks done',
      'journal cleared',
    ],
  ],
};

const switchedKernel = {
  config: { driver: 'kernel', representor: 'auto', vlan: 5 },
  addSteps: ['netdev moved', 'representor up', 'port added', 'committed'],
  delSteps: ['port removed', 'representor lowered', 'driver unbound', 'driver override set', 'netdev back', 'vf released'],
};

describe('a server that is killed while it plugs a VF with its representor on a bridge', () => {
  let machine: DirectMachine;
  const pods = directPods(() => machine);
  const { suite, steps } = crashSuites(() => machine, pods);
  const vfs = () => machine.vfs.filter(({ pf }) => pf === switched[0].address);
  before(async function () {
    machine = await sharedDirectMachine.call(this);
    await bindVfs(machine.lab, vfs(), 'igbvf');
    await startSwitch(machine.lab);
  });
  after(async () => {
    if (machine === undefined) return;
    await stopSwitch(machine.lab);
    await unbindVfs(machine.lab, vfs());
  });

  describe('for vfio-pci', () => suite(switchedVfio));
  // Only the steps that the suite without a switch does not have.
  describe('that goes to the pod', () => steps({ ...legacyKernel, ...switchedKernel }));
});
