// The sysfs, netlink families and events of the real kernel. Tests make things only in namespaces of their own.
import { deepEqual, equal, fail, ok } from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parsePciAddress } from '../../host/base/pci-address.ts';
import { inNetns, openNetns } from '../../host/kernel/netns.ts';
import { readSockets } from '../../host/kernel/numa.ts';
import { listDirectory, readText } from '../../host/kernel/sysfs.ts';
import { readVfioHolders } from '../../host/kernel/vfio-holders.ts';
import { findFeatures } from '../../host/netlink/ethtool.ts';
import { openNetlink } from '../../host/netlink/netlink.ts';
import { readNotices } from '../../host/netlink/notices.ts';
import { readUevents } from '../../host/netlink/uevent.ts';
import { findFamily } from '../../host/netlink/wire/generic.ts';
import { openSession } from '../../host/netlink/wire/session.ts';
import { protocols } from '../../host/netlink/wire/socket.ts';
import { openKernelQuestions } from '../../host/nic/kernel-facts.ts';
import { scanNics } from '../../host/nic/nics.ts';
import { readPfs } from '../../host/nic/pci.ts';
import { readSwitchPorts } from '../../host/nic/switch-ports.ts';
import { run } from '../../tools/program.ts';
import { makeNetns, type TestNetns } from '../support/netns.ts';
import { igb } from '../support/nic-trees.ts';
import { startOvs } from '../support/ovs.ts';
import { makeTree } from '../support/sysfs-tree.ts';

const host = { root: '/', netlink: openNetlink };

describe("this machine's own sysfs", () => {
  it('is read without error, whatever NICs it has', async () => {
    using questions = openKernelQuestions(host);
    const { pfs, vfs } = await scanNics(host, { ask: questions.ask, allocated: new Set() });
    equal(pfs.length, (await readPfs(host, () => {})).length);
    ok(vfs.every((vf) => /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(vf.address)));
    readSwitchPorts(host, new Set(), ({ words }) => fail(words));
  });

  it('tells that a netdev without a port name has none: the kernel answers EOPNOTSUPP', () => {
    equal(readText('/sys/class/net/lo/phys_port_name'), undefined);
    equal(readText('/sys/class/net/lo/type'), '772');
  });

  it('names a socket for every NUMA node with a processor', () => {
    for (const [node, together] of readSockets(host, ({ words }) => fail(words))) ok(together.includes(node));
    if (listDirectory('/sys/devices/system/node').some((name) => name === 'node0'))
      ok(readSockets(host, ({ words }) => fail(words)).has(0));
  });

  it('shows who has a vfio file open by /proc, and only those', async () => {
    const { holders, hidden } = await readVfioHolders(host);
    ok(hidden < 10, `${hidden} processes did not let root look`); // a few may be beyond even root in a sandbox
    ok([...holders.keys()].every((file) => file.startsWith('/dev/vfio/')));
  });
});

describe('the real kernel', () => {
  let netns: TestNetns;
  let ending: AbortController;
  beforeEach(async () => {
    netns = await makeNetns();
    ending = new AbortController();
  });
  afterEach(async () => {
    ending.abort(); // also when a test failed half-way: else its socket keeps the process alive
    await netns[Symbol.asyncDispose]();
  });

  const ip = (...args: readonly string[]) => run('ip', ['-n', netns.name, ...args]);

  it("tells a netdev's features", async () => {
    await ip('link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1');
    using handle = openNetns(netns.path);
    using session = openSession({ protocol: protocols.generic, netns: handle });
    const ethtool = await findFamily(session, 'ethtool');
    if (ethtool === undefined) throw new Error('this kernel has no ethtool netlink (5.6 has it)');
    const features = await findFeatures(ethtool, 'd0');
    ok(features?.has('tx-checksum-ip-generic'), [...(features ?? [])].join(' '));
    ok(!features?.has('hw-tc-offload'));
    equal(await findFeatures(ethtool, 'd2'), undefined);
  });

  describe('of a netdev of a VF (a veth) that a real userspace Open vSwitch has as a port', () => {
    it('has no master for it, and still tells that it is in use; one that is only listened to is free', async () => {
      await using ovs = await startOvs();
      const inside = (...args: readonly string[]) => run('ip', ['-n', ovs.netns, ...args]);
      const [one, other] = ['d0', 'd2'];
      for (const [name, peer] of [
        [one, 'd1'],
        [other, 'd3'],
      ] as const) {
        await inside('link', 'add', name, 'type', 'veth', 'peer', 'name', peer);
        await inside('link', 'set', name, 'up');
      }
      const pf = igb({ vfs: 2 });
      const vfs = (pf.vfs ?? []).map((vf) => ({ ...vf, netdev: vf.index === 0 ? one : other }));
      using tree = makeTree({ ...pf, vfs });
      const vswitchd = (await run('ip', ['netns', 'pids', ovs.netns])).stdout.split('\n')[0];
      tree.link('/proc/net', `/proc/${vswitchd}/net`);
      using handle = openNetns(ovs.netns.startsWith('/') ? ovs.netns : `/run/netns/${ovs.netns}`);
      using questions = openKernelQuestions({ root: tree.root, netlink: () => openNetlink(handle) });
      const look = async () =>
        (await scanNics(tree.host, { ask: questions.ask, allocated: new Set() })).vfs.map(({ inUse }) => inUse);
      deepEqual(await look(), [[], []]);
      await ovs.addBridge('br0');
      await ovs.vsctl('add-port', 'br0', one);
      await inside('link', 'set', other, 'promisc', 'on'); // and nobody reads it
      deepEqual(await look(), [['d0 is promiscuous and read by a program, as a port of a userspace Open vSwitch is'], []]);
    });
  });

  describe('of a netdev of a vf', () => {
    let six: boolean;
    beforeEach(async () => {
      for (const [one, other] of [
        ['d0', 'd1'],
        ['d2', 'd3'],
      ] as const) {
        await ip('link', 'add', one, 'type', 'veth', 'peer', 'name', other);
        await ip('link', 'set', one, 'up');
        await ip('link', 'set', other, 'up');
      }
      const proc = await run('ip', ['netns', 'exec', netns.name, 'test', '-e', '/proc/sys/net/ipv6'], { reject: false });
      six = proc.exitCode === 0;
    });

    /** Of a PF whose VFs have these netdevs; also how many routes the kernel told. */
    async function ask(...netdevs: readonly string[]) {
      using handle = openNetns(netns.path);
      const netlink = openNetlink(handle);
      let told = 0;
      const counting = {
        ...netlink,
        routes: async (filter?: Parameters<typeof netlink.routes>[0]) => {
          const routes = await netlink.routes(filter);
          told += routes.length;
          return routes;
        },
      };
      using questions = openKernelQuestions({ root: '/', netlink: () => counting });
      const ids = { vendor: '8086', device: '10ca', driver: 'igbvf', netdevElsewhere: false };
      const vfs = netdevs.map((netdev, index) => ({
        ...ids,
        address: parsePciAddress(`41:10.${index}`),
        index,
        netdevs: [netdev],
      }));
      const pf = { ...ids, address: parsePciAddress('0000:41:00.0'), netdevs: [], numVfs: 1, totalVfs: 1, vfs };
      const { addresses, routes, unread } = await questions.ask([pf], []);
      deepEqual(unread, []);
      return { addresses, routes, told };
    }

    it('tells addresses of both families, but not what every IPv6 link has by itself', async () => {
      for (const cidr of ['192.0.2.1/24', ...(six ? ['2001:db8::1/64'] : [])])
        await ip('addr', 'add', cidr, 'dev', 'd0', 'nodad');
      const { addresses } = await ask('d0', 'd1');
      deepEqual([...addresses], [['d0', ['192.0.2.1/24', ...(six ? ['2001:db8::1/64'] : [])]]]);
    });

    it('tells routes of both families and of every table, also one that has several ways', async () => {
      const via = ['nexthop', 'dev', 'd0', 'nexthop', 'dev', 'd2'];
      await ip('route', 'add', '198.51.100.0/24', 'dev', 'd0');
      await ip('route', 'add', '203.0.113.0/24', 'table', '77', 'dev', 'd0');
      await ip('route', 'add', '192.0.2.0/24', ...via);
      if (six) await ip('route', 'add', '2001:db8::/64', 'dev', 'd0');
      const { routes } = await ask('d0', 'd1', 'd2');
      deepEqual(new Set(routes.keys()), new Set(['d0', 'd2']));
      const all = ['198.51.100.0/24', '203.0.113.0/24', '192.0.2.0/24', ...(six ? ['2001:db8::/64'] : [])];
      deepEqual(new Set(routes.get('d0')), new Set(all));
      deepEqual(routes.get('d2'), ['192.0.2.0/24']);
    });

    it('does not tell the routes of others, however many they are', async () => {
      await ip('addr', 'add', '192.0.2.1/24', 'dev', 'd0');
      const lines = Array.from({ length: 2000 }, (_, at) => `route add 10.${at >> 8}.${at & 255}.0/24 via 192.0.2.2`);
      await run('ip', ['-n', netns.name, '-batch', '-'], { input: lines.join('\n') });
      const { addresses, routes, told } = await ask('d0', 'd2', 'd3');
      ok(addresses.has('d0'));
      deepEqual([...routes], []);
      ok(told < 10, `${told} routes were told`);
    });
  });

  it('has no netlink family of a name that is nobody', async () => {
    using session = openSession({ protocol: protocols.generic });
    equal(await findFamily(session, 'smartnic-none'), undefined);
  });

  it('announces a netdev of our namespace that comes and goes', async () => {
    const heard: string[] = [];
    using handle = openNetns(netns.path);
    const events = inNetns(handle, () => {
      const generator = readUevents(ending.signal);
      const first = generator.next(); // opens the socket here, before the first await
      return { generator, first };
    });
    const listening = (async () => {
      for (let next = await events.first; !next.done; next = await events.generator.next()) {
        const event = next.value;
        if (event !== 'lost' && event.subsystem === 'net') heard.push(`${event.action} ${event.values.get('INTERFACE')}`);
      }
    })();
    await ip('link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1');
    await ip('link', 'delete', 'd0');
    await until(() => heard.includes('remove d0'));
    ending.abort();
    await listening;
    deepEqual(
      heard.filter((one) => one.endsWith('d0')),
      ['add d0', 'remove d0'],
    );
  });

  it('announces PCI devices to every namespace', async function () {
    const [device] = listDirectory('/sys/bus/pci/devices');
    if (device === undefined || !isWritable(`/sys/bus/pci/devices/${device}/uevent`)) {
      console.log('      skipped: this machine has no PCI device whose event can be triggered');
      this.skip();
    }
    let heard = false;
    const listening = (async () => {
      for await (const event of readUevents(ending.signal))
        heard ||= event !== 'lost' && event.subsystem === 'pci' && event.path.endsWith(device);
    })();
    writeFileSync(`/sys/bus/pci/devices/${device}/uevent`, 'change'); // only announces; nothing changes
    await until(() => heard);
    ending.abort();
    await listening;
  });

  it('gives notice of addresses and routes', async () => {
    let notices = 0;
    using handle = openNetns(netns.path);
    await ip('link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1');
    const { generator, first } = inNetns(handle, () => {
      const opened = readNotices(ending.signal);
      return { generator: opened, first: opened.next() };
    });
    const listening = (async () => {
      for (let next = await first; !next.done; next = await generator.next()) notices += 1;
    })();
    for (const change of [
      ['addr', 'add', '192.0.2.1/24', 'dev', 'd0'],
      ['link', 'set', 'd0', 'up'],
      ['route', 'add', '198.51.100.0/24', 'dev', 'd0'],
    ]) {
      const before = notices;
      await ip(...change);
      await until(() => notices > before);
    }
    ending.abort();
    await listening;
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !holds(); await sleep(5)) ok(performance.now() < end, 'not within 5 s');
}

function isWritable(path: string): boolean {
  try {
    closeSync(openSync(path, 'w'));
    return true;
  } catch {
    return false;
  }
}
