// Names of a VF's netdev on the real kernel: a veth stands for the netdev, and a tree of files says that it is a VF's. udevd's part is in test/lab.
import assert from 'node:assert/strict';
import { pino } from 'pino';
import type { Host } from '../../host/host.ts';
import { type Netns, openNetns } from '../../host/kernel/netns.ts';
import { type Link, openNetlink } from '../../host/netlink/netlink.ts';
import { moveNetdev, restoreNetdev } from '../../host/nic/vf-netdev.ts';
import { putBackVf } from '../../vnic/vf.ts';
import { makeNetns, type TestNetns } from '../support/netns.ts';
import { makeTree, type Tree } from '../support/sysfs-tree.ts';

const address = '0000:66:02.5';
const veth = 'eth7';

describe("the netdev of a VF (a veth, with the real kernel's names)", () => {
  let cleanup: AsyncDisposableStack;
  let machine: TestNetns;
  let own: Netns;
  let tree: Tree;
  let mac: string;

  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    machine = cleanup.use(await makeNetns());
    own = cleanup.use(openNetns(machine.path));
    const vf = { address, index: 5, ids: '8086:1889', driver: 'iavf', netdev: veth };
    tree = cleanup.use(makeTree({ address: '0000:66:00.0', ids: '8086:1592', driver: 'ice', netdev: 'ens6f0', vfs: [vf] }));
    await machine.ip('link', 'add', veth, 'type', 'veth', 'peer', 'name', 'other');
    mac = (await show(machine, veth)).address;
  });
  afterEach(async () => await cleanup.disposeAsync());

  /** Its own namespace is the test's, and a veth looks like hardware to it. */
  function host() {
    const { kind: _, ...asHardware } = { kind: undefined };
    const hardware = ({ kind: _kind, ...link }: Link): Link => ({ ...link, ...asHardware });
    return {
      ...{ root: tree.root, log: pino({ level: 'silent' }), step: () => {} },
      netlink: (netns?: Netns) => {
        const real = openNetlink(netns ?? own);
        return {
          ...real,
          links: async () => (await real.links()).map(hardware),
          link: async (which: string | number) => {
            const link = await real.link(which);
            return link && hardware(link);
          },
        };
      },
    };
  }

  async function names(): Promise<readonly string[]> {
    return ((await machine.ip('link', 'show', 'type', 'veth')) as readonly Shown[])
      .map(({ ifname }) => ifname)
      .filter((name) => name !== 'other');
  }

  it('has its old name back though udevd gave it that name as a further name first', async () => {
    await machine.ip('link', 'property', 'add', 'dev', veth, 'altname', 'enp102s2f5', 'altname', 'kept');
    await restoreNetdev(host(), address, { name: 'enp102s2f5', mac, mtu: 1400, up: true });
    const link = await show(machine, 'enp102s2f5');
    assert.deepEqual([link.ifname, link.mtu, link.altnames], ['enp102s2f5', 1400, ['kept']]);
    assert.ok(link.flags.includes('UP'));
  });

  it('keeps a name of its own while another link has its old one, and nothing fails', async function () {
    this.timeout(20_000);
    await machine.ip('link', 'add', 'enp102s2f5', 'type', 'bridge');
    await restoreNetdev(host(), address, { name: 'enp102s2f5', mac, mtu: 1500, up: false });
    assert.deepEqual(await names(), ['sn000066025']);
  });

  it('keeps its size where the driver refuses the old one, and nothing fails', async () => {
    await restoreNetdev(host(), address, { name: 'enp102s2f5', mac, mtu: 70_000, up: false });
    assert.deepEqual(await names(), ['enp102s2f5']);
  });

  it('is not lost for a representor that can not have its old MTU', async () => {
    const vf = { kind: 'vf', id: '0000:66:02.6', pf: '0000:66:00.0', index: 6, driver: 'vfio-pci', settings: {} } as const; // gone meanwhile
    const before = { binding: {}, settings: {}, representor: { mtu: 70_000, up: false } };
    await putBackVf(host() as unknown as Host, { ...vf, representor: veth, before });
    assert.equal((await show(machine, veth)).mtu, 1500);
  });

  it("goes to the pod under the pod's name, though that is a further name of it, and without alias and further names", async () => {
    await machine.ip('link', 'property', 'add', 'dev', veth, 'altname', 'net1', 'altname', 'enp102s2f5');
    await machine.ip('link', 'set', 'dev', veth, 'alias', 'an earlier one');
    await using pod = await makeNetns();
    using to = openNetns(pod.path);
    await moveNetdev(host(), { address, to, as: { name: 'net1', mac, mtu: 1500 } });
    const link = await show(pod, 'net1');
    assert.deepEqual([link.ifname, link.altnames, link.ifalias], ['net1', undefined, undefined]);
  });
});

interface Shown {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly altnames?: readonly string[];
  readonly ifalias?: string;
}

async function show(netns: TestNetns, name: string): Promise<Shown> {
  const [link] = (await netns.ip('link', 'show', 'dev', name)) as readonly Shown[];
  assert.ok(link !== undefined);
  return link;
}
