// kill -9 of the CNI server at every step of an ADD and of a DEL of `direct` whose VF's netdev goes to the pod.
import { crashSuites, legacyKernel } from './crash.ts';
import { type DirectMachine, endSharedMachine, sharedDirectMachine } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';

after(endSharedMachine);

describe('a server that is killed while it plugs a VF whose netdev goes to the pod', () => {
  let machine: DirectMachine;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
  });
  crashSuites(
    () => machine,
    directPods(() => machine),
  ).suite(legacyKernel);
});
