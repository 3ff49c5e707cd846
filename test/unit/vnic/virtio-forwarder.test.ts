import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Forwarder } from '../../../host/forwarder/forwarder.ts';
import type { Host } from '../../../host/host.ts';
import type { ReservedVf } from '../../../vnic/vf.ts';
import { cable, socketPlace } from '../../../vnic/virtio-forwarder.ts';

const address = '0000:0a:00.1';
const vf: ReservedVf = {
  kind: 'vf',
  id: address,
  pf: '0000:0a:00.0',
  index: 0,
  driver: 'vfio-pci',
  settings: {},
  before: { binding: {}, settings: {} },
};
const port = {
  ...{ network: 'n', containerId: 'c', ifname: 'net1', netns: '/run/netns/x', bridgePort: 'rep0', mac: '02:00:00:00:00:01' },
  ...{ mtu: 1500, datapath: 'system', reserved: vf },
};

describe('plugging virtio-forwarder', () => {
  let root = '';
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'vf-'));
  });
  after(async () => rm(root, { recursive: true }));

  /** A machine without VFs: what gets as far as the VF fails there. */
  const machine = (forwarder?: Partial<Forwarder>) =>
    ({ root, step: () => {}, ...(forwarder && { forwarder }) }) as unknown as Host;

  const switching = {
    ...{ root: '/nowhere', step: () => {} },
    forwarder: {
      attach: async () => {},
      port: ({ socket, mtu }: { socket: string; mtu: number }) => ({
        ...{ type: 'dpdkvhostuserclient', options: { path: socket }, mtuRequest: mtu },
      }),
    },
  } as unknown as Host;

  it('is refused on a node without a forwarder', async () => {
    await assert.rejects(cable.plug(machine(), port), /this node has no forwarder .* write "forwarder: \{ kind: xvio \}"/);
  });

  it('needs a vf, or a slot where Open vSwitch itself is the forwarder', () => {
    assert.equal(cable.reserves(undefined), 'vf');
    assert.equal(cable.reserves(machine({}).forwarder), 'vf');
    assert.equal(cable.reserves(switching.forwarder), 'slot');
  });

  it('makes a port of the bridge of a slot, on the userspace datapath alone', async () => {
    const slotted = { ...port, reserved: { kind: 'slot', id: 'ovs-1' } } as const;
    await assert.rejects(
      cable.plug(switching, slotted),
      /has datapath "system", but vhost-user ports need .* datapath_type=netdev/,
    );
    const socketPath = '/run/smartnic/vhost/ovs-1/vhost.sock';
    assert.deepEqual(await cable.plug(switching, { ...slotted, datapath: 'netdev' }), {
      bridge: { port: 'rep0', made: { type: 'dpdkvhostuserclient', options: { path: socketPath }, mtuRequest: 1500 } },
      pod: { name: 'net1', mac: port.mac, mtu: 1500, socketPath },
    });
  });

  it("is refused with the kernel's driver", async () => {
    await assert.rejects(cable.plug(machine({}), { ...port, reserved: { ...vf, driver: 'kernel' } }), /leave "driver" out/);
  });

  it('clears what an earlier pod left in the directory, and nothing outside of it', async () => {
    const directory = join(root, socketPlace(address).hostDirectory);
    await mkdir(join(directory, 'deep'), { recursive: true });
    await writeFile(join(root, 'outside'), 'stays');
    await writeFile(join(directory, 'vhost.sock'), '');
    await symlink(root, join(directory, 'link'));
    await assert.rejects(cable.plug(machine({}), port));
    assert.deepEqual(readdirSync(directory), []);
    assert(existsSync(join(root, 'outside')));
  });

  it('leaves the vf alone as long as the forwarder has not let go of it', async () => {
    const detach = async () => {
      throw new Error('busy');
    };
    await assert.rejects(cable.unplug(machine({ detach }), port), { message: 'busy' });
  });
});
