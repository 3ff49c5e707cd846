// CHECK on the real machine: what a person or an agent can do to a pod's interface, and whether CHECK finds it.
import assert from 'node:assert/strict';
import { codes } from '../../cni/protocol/errors.ts';
import { run } from '../../tools/program.ts';
import { refused, succeeded } from '../support/answers.ts';
import { type Attached, attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { network, type TestNode } from '../support/node.ts';

describe('CHECK', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  const subnets = ['10.77.0.0/16', 'fd00:77::/64'];
  const plug = async (more: object = {}) => undo.use(await attach(node, network(node, more, subnets)));
  const inHost = (...args: readonly string[]) => run('ip', ['-n', node.ovs.netns, ...args]);
  const set = (port: string, ...columns: readonly string[]) => node.ovs.vsctl('set', 'Port', port, ...columns);

  const damages: Readonly<Record<string, readonly [(a: Attached) => Promise<unknown>, RegExp]>> = {
    'a port taken out by hand': [({ port }) => node.ovs.vsctl('del-port', port), /the port is gone from bridge br0/],
    'a port on another bridge': [({ port }) => move(port, 'br1'), /port sn\S+ is on bridge br1, not br0/],
    'another VLAN': [({ port }) => set(port, 'tag=7'), /has VLAN 7, not 5/],
    'no VLAN': [({ port }) => node.ovs.vsctl('clear', 'Port', port, 'tag'), /has VLAN none, not 5/],
    'another trunk': [({ port }) => set(port, 'trunks=8,10'), /has trunk 8,10, not 8,9/],
    "the pod's interface down": [({ pod }) => pod.ip('link', 'set', 'dev', 'eth0', 'down'), /eth0 in \S+ is down/],
    "the bridge's end down": [({ port }) => inHost('link', 'set', 'dev', port, 'down'), /the bridge's end of eth0, is down/],
    'an IPv4 address gone': [
      ({ pod, ip }) => pod.ip('address', 'delete', `${ip}/16`, 'dev', 'eth0'),
      /eth0 in \S+ has lost its address 10\.77\./,
    ],
    'an IPv6 address gone': [
      ({ pod, ips }) => pod.ip('address', 'delete', `${ips[1]}/64`, 'dev', 'eth0'),
      /eth0 in \S+ has lost its address fd00:77:/,
    ],
    'another MAC': [
      ({ pod }) => pod.ip('link', 'set', 'dev', 'eth0', 'address', '02:00:00:00:00:99'),
      /has MAC 02:00:00:00:00:99, not/,
    ],
    'another name': [({ pod }) => rename(pod.name), /interface eth0 in \S+ is not there/],
    'no interface at all': [({ pod }) => pod.ip('link', 'delete', 'dev', 'eth0'), /interface sn\S+ is not there/],
    'no namespace': [async ({ pod }) => pod[Symbol.asyncDispose](), /open the network namespace \S+: there is none/],
  };

  for (const [what, [damage, words]] of Object.entries(damages)) {
    it(`finds ${what}, and nothing before that`, async () => {
      const a = await plug({ vlan: 5, trunk: [{ minID: 8, maxID: 9 }] });
      succeeded(await a.check());
      await damage(a);
      refused(await a.check(), codes.broken, words);
    });
  }

  it('finds a port that Open vSwitch could not take', async () => {
    const a = await plug();
    await node.ovs.vsctl('set', 'Interface', a.port, 'type=nonsense');
    refused(await a.check(), codes.broken, /Open vSwitch says of port sn\S+: could not open network device/);
  });

  it('finds an attachment that was never made, or is no more', async () => {
    const a = await plug();
    const never = await node.cni('CHECK', { ...a.call, ifname: 'net9', config: { ...network(node), prevResult: a.result } });
    refused(never, codes.broken, /net9 of container \S+ is not attached to network tenant-a/);
    await a.del();
    assert.equal((await a.check()).json.code, codes.broken);
  });

  it('compares the addresses of prevResult with those that are there, whoever of the chain added them', async () => {
    const a = await plug();
    const withIp = (...more: readonly object[]) => {
      const prevResult = { ...a.result, ips: [...a.result.ips, ...more] };
      return node.cni('CHECK', { ...a.call, config: { ...network(node), prevResult } });
    };
    const later = { address: '192.0.2.7/32', interface: 1 };
    refused(await withIp(later), codes.broken, /eth0 in \S+ has lost its address 192\.0\.2\.7\/32/);
    await a.pod.ip('address', 'add', '192.0.2.7/32', 'dev', 'eth0');
    succeeded(await withIp(later));
    succeeded(await withIp({ address: '192.0.2.8/32', interface: 0 }, { address: '192.0.2.9/32' }));
  });

  it('wants the result of ADD', async () => {
    const a = await plug();
    refused(await node.cni('CHECK', a.call), codes.invalidConfig, /prevResult: is missing/);
  });

  it('leaves alone what agents and later plugins of the chain may change', async () => {
    const a = await plug();
    await set(a.port, 'tag=3', 'other_config:net_uuid=x');
    await node.ovs.vsctl('set', 'Interface', a.port, 'external_ids:ovn-installed=true');
    await a.pod.ip('route', 'add', '192.0.2.0/24', 'dev', 'eth0');
    await a.pod.ip('link', 'set', 'dev', 'eth0', 'mtu', '1400');
    succeeded(await a.check());
  });

  async function rename(pod: string): Promise<void> {
    const change = (...args: readonly string[]) => run('ip', ['-n', pod, 'link', 'set', 'dev', ...args]);
    await change('eth0', 'down');
    await change('eth0', 'name', 'eth9');
    await change('eth9', 'up');
  }

  async function move(port: string, bridge: string): Promise<void> {
    await node.ovs.addBridge(bridge);
    const ids = await node.ovs.vsctl('get', 'Interface', port, 'external_ids');
    await node.ovs.vsctl('del-port', port);
    await node.ovs.vsctl('add-port', bridge, port, 'tag=5', 'trunks=8,9', '--', 'set', 'Interface', port, `external_ids=${ids}`);
  }
});
