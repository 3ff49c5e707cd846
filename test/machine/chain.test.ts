// Chains with real plugins: Debian's `tuning` after us, and us after a plugin that made an interface.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { codes } from '../../cni/protocol/errors.ts';
import { run } from '../../tools/program.ts';
import { refused, succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { type CniAnswer, type CniCall, containerId, ipamDirectory, network, type TestNode } from '../support/node.ts';
import { pings } from '../support/traffic.ts';

const tuning = join(ipamDirectory, 'tuning');
const mac = '02:00:00:00:00:42';

describe('in a chain', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  for (const cniVersion of ['0.4.0', '1.0.0']) {
    it(`with tuning behind us: ADD, CHECK of both and DEL backwards, in CNI ${cniVersion}`, async function () {
      if (!existsSync(tuning)) {
        console.log(`      skipped: ${tuning} is not installed (Debian: containernetworking-plugins)`);
        this.skip();
      }
      const ours = network(node, { cniVersion });
      const [a, peer] = [undo.use(await attach(node, ours)), undo.use(await attach(node, ours))];
      const tuned = {
        cniVersion,
        name: 'tenant-a',
        type: 'tuning',
        mac,
        mtu: 1400,
        sysctl: { 'net.ipv4.conf.eth0.arp_notify': '1' },
      };
      const behind = { ...tuned, dataDir: join(node.dir, 'tuning') };
      const added = await runTuning('ADD', { ...a.call, config: { ...behind, prevResult: a.result } });
      const result = added.json;
      assert.equal(added.exit, 0, added.stdout);
      assert.equal(result.interfaces[1].mac, mac);
      assert.deepEqual(result.ips, a.result.ips);
      assert.ok(await pings(peer.pod, a.ip));
      succeeded(await node.cni('CHECK', { ...a.call, config: { ...ours, prevResult: result } }));
      succeeded(await runTuning('CHECK', { ...a.call, config: { ...behind, prevResult: result } }));
      await a.pod.ip('link', 'set', 'dev', 'eth0', 'address', '02:00:00:00:00:43');
      refused(
        await node.cni('CHECK', { ...a.call, config: { ...ours, prevResult: result } }),
        codes.broken,
        /has MAC 02:00:00:00:00:43, not 02:00:00:00:00:42/,
      );

      succeeded(await runTuning('DEL', { ...a.call, config: { ...behind, prevResult: result } }));
      succeeded(await a.del({ config: { ...ours, prevResult: result } }));
    });
  }

  it('after another plugin: its interfaces, addresses, routes and DNS come first, and ours point at ours', async () => {
    const earlier = {
      cniVersion: '1.0.0',
      interfaces: [
        { name: 'veth1', mac: '02:00:00:00:00:01' },
        { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/run/netns/x' },
      ],
      ips: [{ address: '192.0.2.5/24', gateway: '192.0.2.1', interface: 1 }, { address: '192.0.2.6/24' }],
      routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1' }],
      dns: { nameservers: ['192.0.2.53'] },
    };
    const config = network(node, { prevResult: earlier });
    const { result, pod, call, port, ips } = undo.use(await attach(node, config, { ifname: 'net1' }));
    assert.deepEqual(result, {
      cniVersion: '1.0.0',
      interfaces: [
        ...earlier.interfaces,
        { name: port, mac: result.interfaces[2].mac },
        { name: 'net1', mac: result.interfaces[3].mac, sandbox: pod.path },
      ],
      ips: [...earlier.ips, { address: `${ips[2]}/16`, gateway: '10.77.0.1', interface: 3 }],
      routes: earlier.routes,
      dns: earlier.dns,
    });
    const [link] = (await pod.ip('address', 'show', 'dev', 'net1')) as readonly {
      readonly addr_info: readonly { readonly local: string; readonly family: string }[];
    }[];
    assert.deepEqual(
      link?.addr_info.filter(({ family }) => family === 'inet').map(({ local }) => local),
      [ips[2]],
    );
    succeeded(await node.cni('CHECK', { ...call, config: network(node, { prevResult: result }) }));
    succeeded(await node.cni('DEL', { ...call, config: network(node, { prevResult: result }) }));
  });

  it('behind a newer plugin: an older result has only what its version knows', async () => {
    const earlier = {
      interfaces: [{ name: 'eth9', mac: '02:00:00:00:00:02', sandbox: '/run/netns/x', mtu: 9000, pciID: '0000:04:00.2' }],
      ips: [{ version: '4', address: '192.0.2.5/24', interface: 0 }],
      routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1', mtu: 1400 }],
    };
    const { result } = undo.use(await attach(node, network(node, { cniVersion: '0.4.0', prevResult: earlier })));
    assert.deepEqual(result.interfaces[0], { name: 'eth9', mac: '02:00:00:00:00:02', sandbox: '/run/netns/x' });
    assert.deepEqual(
      result.ips.map(({ version, interface: at }: { version: string; interface: number }) => [version, at]),
      [
        ['4', 0],
        ['4', 2],
      ],
    );
    assert.deepEqual(result.routes, [{ dst: '0.0.0.0/0', gw: '192.0.2.1' }]);
  });

  it('behind a result that is none: ADD names what is wrong and changes nothing', async () => {
    const pod = undo.use(await node.pod());
    const call: CniCall = {
      containerId: containerId(),
      ifname: 'lo', // taken, if only ADD came to that
      netns: pod.path,
      config: network(node, { prevResult: { ips: [{ address: '192.0.2.5' }] } }),
    };
    refused(
      await node.cni('ADD', call),
      codes.invalidConfig,
      /prevResult: ips\.0\.address: "192\.0\.2\.5" is not an address with a prefix length/,
    );
  });

  async function runTuning(command: string, { netns = '', config, ...call }: CniCall): Promise<CniAnswer> {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: call.containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: ipamDirectory,
    };
    const { exitCode, stdout, stderr } = await run(tuning, [], { env, input: JSON.stringify(config), reject: false });
    return { exit: exitCode ?? -1, stdout, stderr, json: stdout === '' ? {} : JSON.parse(stdout) };
  }
});
