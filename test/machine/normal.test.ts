// `normal` on the real machine: the answer to a pod in every CNI version, and where its packets get.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { supportedVersions } from '../../cni/protocol/versions.ts';
import { run } from '../../tools/program.ts';
import { succeeded } from '../support/answers.ts';
import { type Attached, type AttachOptions, attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import type { TestNetns } from '../support/netns.ts';
import { containerId, network, type TestNode } from '../support/node.ts';
import { startOvs } from '../support/ovs.ts';
import { pings, transfers } from '../support/traffic.ts';

const anyMac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const podArgs = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=0b2c';

describe('normal', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  const plug = async (config: object, options: AttachOptions = {}) => undo.use(await attach(node, config, options));

  for (const cniVersion of supportedVersions) {
    it(`gives two pods a cable that works, and the result of CNI ${cniVersion}`, async () => {
      const [a, b] = [await plug(network(node, { cniVersion })), await plug(network(node, { cniVersion }))];
      const old = cniVersion.startsWith('0.');
      assert.deepEqual(a.result, {
        cniVersion,
        interfaces: [
          { name: a.port, mac: (await linkOf(node, a.port))['address'] },
          { name: 'eth0', mac: a.mac, sandbox: a.pod.path, ...(cniVersion === '1.1.0' ? { mtu: 1500 } : {}) },
        ],
        ips: [{ ...(old ? { version: '4' } : {}), address: `${a.ip}/16`, gateway: '10.77.0.1', interface: 1 }],
        dns: {},
      });
      assert.match(a.port, /^sn[0-9a-f]{12}$/);
      assert.equal((await inPod(a))['address'], a.mac);
      assert.ok(await pings(a.pod, b.ip));
      assert.ok(await pings(b.pod, a.ip));
      if (!cniVersion.startsWith('0.3.')) succeeded(await a.check());
      for (const each of [a, a, b, b]) succeeded(await each.del());
      assert.deepEqual(await node.leftovers(), []);
      assert.deepEqual(await linkNames(a.pod), ['lo']);
    });
  }

  it('writes all that others look for on a port in the transaction that makes the port, and nothing more', async () => {
    const config = network(node, { externalIds: { tenant: 'a' } });
    const { port, pod, mac, call } = await plug(config, { args: podArgs, ifname: 'net1' });
    const ids = {
      tenant: 'a',
      'iface-id': 'shop_web-0_net1',
      'attached-mac': mac,
      'iface-status': 'active',
      'vm-id': '0b2c',
      'iface-id-ver': '0b2c',
      contIface: 'net1',
      contNetns: pod.path,
      contPodUid: '0b2c',
      owner: 'smartnic.io',
      'smartnic-network': 'tenant-a',
      'smartnic-type': 'normal',
      'smartnic-container': call.containerId,
      'smartnic-ifname': 'net1',
    };
    const written = (await transactions(node)).filter((each) => JSON.stringify(each).includes(`"${port}"`));
    const [made, ...later] = written.filter(({ Interface }) => Interface !== undefined);
    assert.deepEqual(tables(made), ['Bridge', 'Interface', 'Port']);
    const [row] = Object.values(made?.['Interface'] ?? {});
    assert.deepEqual(row, { name: port, external_ids: ['map', Object.entries(ids).sort()] });
    assert.deepEqual(
      Object.values(made?.['Port'] ?? {}).map(({ interfaces, ...rest }) => rest),
      [{ name: port, vlan_mode: 'access' }],
    );
    assert.ok(!JSON.stringify(later).includes('external_ids'));
  });

  it('keeps pods of different VLANs apart and lets those of one VLAN talk', async () => {
    const [a, b, other] = [await plug(vlan(5)), await plug(vlan(5)), await plug(vlan(6))];
    assert.ok(await pings(a.pod, b.ip));
    assert.ok(!(await pings(a.pod, other.ip)));
    assert.equal(await node.ovs.vsctl('get', 'Port', a.port, 'tag', 'vlan_mode'), '5\naccess');
  });

  it('carries the VLANs of a trunk with their tags, and no other', async () => {
    const trunk = await plug(network(node, { trunk: [{ id: 5 }, { minID: 10, maxID: 12 }] }));
    const [five, eleven, six] = [await plug(vlan(5)), await plug(vlan(11)), await plug(vlan(6))];
    assert.equal(await node.ovs.vsctl('get', 'Port', trunk.port, 'trunks', 'tag', 'vlan_mode'), '[5, 10, 11, 12]\n[]\ntrunk');
    await subInterfaces(trunk, 5, 6, 11);
    assert.ok(await pings(trunk.pod, five.ip, '-I', 'vlan5'));
    assert.ok(await pings(trunk.pod, eleven.ip, '-I', 'vlan11'));
    assert.ok(!(await pings(trunk.pod, six.ip, '-I', 'vlan6')));
    succeeded(await trunk.check());
  });

  it("puts a trunk's untagged frames into the VLAN beside it", async () => {
    const trunk = await plug(network(node, { vlan: 5, trunk: [{ id: 6 }] }));
    const [native, tagged] = [await plug(vlan(5)), await plug(vlan(6))];
    assert.ok(await pings(trunk.pod, native.ip));
    assert.ok(!(await pings(trunk.pod, tagged.ip)));
    await subInterfaces(trunk, 6);
    assert.ok(await pings(trunk.pod, tagged.ip, '-I', 'vlan6'));
    succeeded(await trunk.check());
  });

  it("gives both ends the network's MTU, else the bridge's default, whatever other pods have", async () => {
    await node.ovs.addBridge('br-big');
    undo.defer(async () => {
      await node.ovs.vsctl('del-br', 'br-big');
    });
    await node.ovs.vsctl('set', 'Interface', 'br-big', 'mtu_request=4000');
    await node.ovs.vsctl('wait-until', 'Interface', 'br-big', 'mtu=4000');
    const big = network(node, { cniVersion: '1.1.0', bridge: 'br-big' });
    for (const [config, mtu] of [
      [big, 4000],
      [{ ...big, mtu: 1300 }, 1300],
    ] as const) {
      const plugged = await plug(config);
      assert.equal(plugged.result.interfaces[1].mtu, mtu);
      assert.equal((await inPod(plugged))['mtu'], mtu);
      assert.equal((await linkOf(node, plugged.port))['mtu'], mtu);
    }
    const small = await plug(network(node, { cniVersion: '1.1.0', mtu: 1300 }));
    await node.ovs.vsctl('wait-until', 'Interface', 'br0', 'mtu=1300');
    const usual = await plug(network(node, { cniVersion: '1.1.0' }));
    assert.deepEqual(
      [small, usual].map(({ result }) => result.interfaces[1].mtu),
      [1300, 1500],
    );
  });

  it('refuses IPv6 with an MTU below 1280, saying so, and leaves nothing', async () => {
    await using pod = await node.pod();
    const before = await node.leftovers();
    const config = network(node, { mtu: 1279 }, ['10.78.0.0/16', 'fd00:78::/64']);
    const refused = await node.cni('ADD', { containerId: containerId(), netns: pod.path, config });
    assert.equal(refused.json.code, 7, refused.stdout);
    assert.match(
      refused.json.msg,
      /^mtu: 1279 is below 1280, the least that IPv6 works with, but IPAM plugin host-local gave fd00:78::/,
    );
    assert.deepEqual(await node.leftovers(), before);
    await plug(network(node, { mtu: 1280 }, ['10.78.0.0/16', 'fd00:78::/64']));
  });

  it('takes the MAC from the runtime, else from args.cni, else from CNI_ARGS, else from the network', async () => {
    const mac = (n: number) => `02:00:00:00:00:0${n}`;
    const all = { runtimeConfig: { mac: mac(1) }, args: { cni: { mac: mac(2) } }, mac: mac(4), allowPodMac: true };
    const { runtimeConfig: _, ...fromArgs } = all;
    const inCniArgs = { args: `IgnoreUnknown=1;MAC=${mac(3).toUpperCase()}` };
    const cases: readonly (readonly [object, AttachOptions])[] = [
      [all, inCniArgs],
      [fromArgs, inCniArgs],
      [{ mac: mac(4), allowPodMac: true }, inCniArgs],
      [{ mac: mac(4) }, {}],
    ];
    for (const [index, [more, options]] of cases.entries()) {
      const plugged = await plug(network(node, more), options);
      assert.equal(plugged.mac, mac(index + 1));
      assert.equal((await inPod(plugged))['address'], mac(index + 1));
    }
  });

  it('gives the same pod and interface the same MAC in every sandbox, and no other one that MAC', async () => {
    const config = network(node);
    const first = await plug(config, { args: podArgs });
    await first.del();
    const second = await plug(config, { args: podArgs });
    assert.equal(second.mac, first.mac);
    assert.match(first.mac, anyMac);
    assert.equal(Number.parseInt(first.mac.slice(0, 2), 16) & 3, 2, 'locally administered, unicast');
    assert.notEqual((await plug(config, { args: podArgs, ifname: 'net1' })).mac, first.mac);
    assert.notEqual((await plug(config, { args: podArgs.replace('0b2c', '0b2d') })).mac, first.mac);
  });

  it('speaks IPv4 and IPv6 on one interface, TCP with right checksums in both', async () => {
    const config = network(node, {}, ['10.77.0.0/16', 'fd00:77::/64']);
    const [a, b] = [await plug(config), await plug(config)];
    assert.deepEqual(
      a.result.ips.map((ip: object) => ({ ...ip, address: '' })),
      [
        { address: '', gateway: '10.77.0.1', interface: 1 },
        { address: '', gateway: 'fd00:77::1', interface: 1 },
      ],
    );
    assert.equal(b.ips.length, 2);
    for (const address of b.ips) {
      assert.ok(await pings(a.pod, address), address);
      await transfers(a.pod, b.pod, address);
    }
    succeeded(await a.check());
  });

  it('speaks IPv6 alone, also in a namespace where IPv6 is off by default', async () => {
    const config = network(node, { cniVersion: '0.4.0' }, ['fd00:77::/64']);
    const a = await plug(config);
    const pod = undo.use(await node.pod());
    const off = 'for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done';
    await run('ip', ['netns', 'exec', pod.name, 'sh', '-c', off]);
    const b = await plug(config, { in: pod });
    assert.equal(b.result.ips[0].version, '6');
    assert.ok(await pings(a.pod, b.ip));
    assert.ok(await pings(b.pod, a.ip));
    await transfers(b.pod, a.pod, a.ip);
  });

  it("sets the routes that IPAM gives, those without a gateway by the address' own", async () => {
    const routes = [{ dst: '0.0.0.0/0' }, { dst: '192.168.5.0/24', gw: '10.77.0.9' }, { dst: '::/0' }];
    const config = network(node, {}, ['10.77.0.0/16', 'fd00:77::/64']);
    const { result, pod } = await plug(withIpam(config, { routes }));
    assert.deepEqual(result.routes, routes);
    const there = [...rows(await pod.ip('-4', 'route', 'show')), ...rows(await pod.ip('-6', 'route', 'show'))];
    const via = (dst: string) =>
      there.filter((route) => route['dst'] === dst).map((route) => `${route['gateway']} ${route['dev']}`);
    assert.deepEqual(via('default'), ['10.77.0.1 eth0', 'fd00:77::1 eth0']);
    assert.deepEqual(via('192.168.5.0/24'), ['10.77.0.9 eth0']);
  });

  it("answers with IPAM's DNS, else with the runtime's, else with the network's", async () => {
    const resolvConf = join(node.dir, 'resolv.conf');
    await writeFile(resolvConf, 'nameserver 192.0.2.1\nsearch ipam.test\n');
    const runtimeConfig = { dns: { servers: ['192.0.2.2'], searches: ['runtime.test'], options: ['ndots:2'] } };
    const all = network(node, { runtimeConfig, dns: { nameservers: ['192.0.2.3'], domain: 'network.test' } });
    const { runtimeConfig: _, ...ofNetwork } = { runtimeConfig, ...all };
    const fromIpam = await plug(withIpam(all, { resolvConf }));
    assert.deepEqual(fromIpam.result.dns, { nameservers: ['192.0.2.1'], search: ['ipam.test'] });
    const fromRuntime = await plug(all);
    assert.deepEqual(fromRuntime.result.dns, { nameservers: ['192.0.2.2'], search: ['runtime.test'], options: ['ndots:2'] });
    assert.deepEqual((await plug(ofNetwork)).result.dns, { nameservers: ['192.0.2.3'], domain: 'network.test' });
  });

  it('plugs without any address where the network has no IPAM', async () => {
    for (const ipam of [undefined, {}]) {
      const config = { ...network(node), ipam };
      const a = await plug(config);
      assert.deepEqual(Object.keys(a.result).sort(), ['cniVersion', 'dns', 'interfaces']);
      assert.equal((await inPod(a))['operstate'], 'UP');
      assert.deepEqual(rows(await a.pod.ip('-4', 'address', 'show', 'dev', 'eth0')), []);
      succeeded(await a.check());
    }
  });

  const vlan = (id: number) => network(node, { vlan: id });

  /** `vlan5` and so on in the pod, made by an Open vSwitch of its own, because not every kernel has VLAN devices. */
  async function subInterfaces({ pod }: Attached, ...ids: readonly number[]): Promise<void> {
    const { addBridge, vsctl } = undo.use(await startOvs({ netns: pod.name }));
    await addBridge('inner');
    await vsctl('add-port', 'inner', 'eth0');
    for (const id of ids) {
      const name = `vlan${id}`;
      await vsctl('add-port', 'inner', name, `tag=${id}`, '--', 'set', 'Interface', name, 'type=internal');
      await pod.ip('address', 'add', `10.77.200.${id}/16`, 'dev', name);
      await pod.ip('link', 'set', 'dev', name, 'up');
    }
  }
});

type Row = Readonly<Record<string, unknown>>;

function rows(json: unknown): readonly Row[] {
  assert.ok(Array.isArray(json));
  return json.filter((row) => Object.keys(row).length > 0);
}

async function linkOf({ ovs }: TestNode, name: string): Promise<Row> {
  const { stdout } = await run('ip', ['-n', ovs.netns, '-json', 'link', 'show', 'dev', name]);
  return rows(JSON.parse(stdout))[0] ?? {};
}

async function inPod({ pod, call }: Attached): Promise<Row> {
  return rows(await pod.ip('link', 'show', 'dev', call.ifname ?? 'eth0'))[0] ?? {};
}

async function linkNames(pod: TestNetns): Promise<readonly string[]> {
  return rows(await pod.ip('link', 'show')).map(({ ifname }) => String(ifname));
}

function tables(transaction: object = {}): readonly string[] {
  return Object.keys(transaction)
    .filter((key) => !key.startsWith('_'))
    .sort();
}

function withIpam(config: object, more: object): object {
  return { ...config, ipam: { ...('ipam' in config && typeof config.ipam === 'object' ? config.ipam : {}), ...more } };
}

type Transaction = Readonly<Record<string, Readonly<Record<string, Row>>>>;

/** What was ever written into the database: its file is a log of transactions (ovsdb(5)). */
async function transactions({ ovs }: TestNode): Promise<readonly Transaction[]> {
  const text = await readFile(join(ovs.dir, 'conf.db'), 'utf8');
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
}
