// `direct` in every CNI version, for both kinds of drivers: ADD, CHECK, STATUS, GC and DEL. test/machine has the other types.
import { everyVersion } from '../support/every-version.ts';
import { type DirectMachine, endSharedMachine, kernel, sharedDirectMachine, vfio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';

after(endSharedMachine);

const ipam = {
  ...{ type: 'static', addresses: [{ address: '10.9.0.2/24', gateway: '10.9.0.1' }] },
  routes: [{ dst: '10.99.0.0/16', gw: '10.9.0.1' }],
};
const kinds = [
  { title: 'a VF for vfio-pci', resource: vfio, network: {}, ips: 0, routes: 0 },
  { title: 'a VF whose netdev goes to the pod', resource: kernel, network: { ipam }, ips: 1, routes: 1 },
] as const;

describe('direct', () => {
  let machine: DirectMachine;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
  });
  const { pod } = directPods(() => machine);

  for (const { title, resource, network, ips, routes } of kinds)
    describe(`with ${title}`, () =>
      everyVersion(() => ({
        cni: machine.node.cni,
        call: async (cniVersion) => (await pod(resource, { ...network, cniVersion })).call,
        since110: ['pciID'],
        ...{ ips, routes },
      })));
});
