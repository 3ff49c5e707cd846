import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Forwarder } from '../../../host/forwarder/forwarder.ts';
import type { Host } from '../../../host/host.ts';
import type { CableVf } from '../../../vnic/vf.ts';
import { socketPlace, virtioForwarder } from '../../../vnic/virtio-forwarder.ts';

const address = '0000:0a:00.1';
const vf: CableVf = {
  address,
  pf: '0000:0a:00.0',
  index: 0,
  driver: 'vfio-pci',
  settings: {},
  before: { binding: {}, settings: {} },
};
const port = {
  ...{ network: 'n', containerId: 'c', ifname: 'net1', netns: '/run/netns/x', bridgePort: 'rep0', mac: '02:00:00:00:00:01' },
  ...{ mtu: 1500, datapath: 'system', vf },
};

describe('plugging virtio-forwarder', () => {
  let root = '';
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'vf-'));
  });
  after(async () => rm(root, { recursive: true }));

  /** A machine without vfs: what gets as far as the vf fails there. */
  const machine = (forwarder?: Partial<Forwarder>) =>
    ({ root, step: () => {}, ...(forwarder && { forwarder }) }) as unknown as Host;

  it('is refused on a node without a forwarder, and where Open vSwitch itself is the forwarder', async () => {
    await assert.rejects(
      virtioForwarder.plug(machine(), port),
      /this node has no forwarder .* write "forwarder: \{ kind: xvio \}"/,
    );
    const ovsDpdk = machine({ port: () => ({ type: '', options: {}, mtuRequest: 0 }) });
    await assert.rejects(virtioForwarder.plug(ovsDpdk, port), /forwarder is ovs-dpdk, which takes no VF/);
  });

  it("is refused with the kernel's driver", async () => {
    await assert.rejects(virtioForwarder.plug(machine({}), { ...port, vf: { ...vf, driver: 'kernel' } }), /leave "driver" out/);
  });

  it('clears what an earlier pod left in the directory, and nothing outside of it', async () => {
    const directory = join(root, socketPlace(address).hostDirectory);
    await mkdir(join(directory, 'deep'), { recursive: true });
    await writeFile(join(root, 'outside'), 'stays');
    await writeFile(join(directory, 'vhost.sock'), '');
    await symlink(root, join(directory, 'link'));
    await assert.rejects(virtioForwarder.plug(machine({}), port));
    assert.deepEqual(readdirSync(directory), []);
    assert(existsSync(join(root, 'outside')));
  });

  it('leaves the vf alone as long as the forwarder has not let go of it', async () => {
    const detach = async () => {
      throw new Error('busy');
    };
    await assert.rejects(virtioForwarder.unplug(machine({ detach }), port), { message: 'busy' });
  });
});
