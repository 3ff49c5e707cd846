// `virtio-forwarder` where Open vSwitch with DPDK is the forwarder, from the device plugin's slots to packets between two pods.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { refused, succeeded } from '../support/answers.ts';
import { skipWithoutDpdk, startConsumer } from '../support/consumer.ts';
import { writeIpam } from '../support/crash.ts';
import { type CniAnswer, network } from '../support/node.ts';
import { skipWithoutDpdkOvs } from '../support/ovs.ts';
import { mountReadOnly } from '../support/read-only.ts';
import { type SlotNode, type SlotPod, startSlotNode } from '../support/slot-node.ts';
import { until } from '../support/until.ts';
import { vnicContract } from '../support/vnic-contract.ts';

const macs = ['52:54:00:cc:00:01', '52:54:00:cc:00:02'] as const;

describe('virtio-forwarder with slots of Open vSwitch', () => {
  let machine: SlotNode;
  const pods: SlotPod[] = [];
  before(async function () {
    skipWithoutDpdkOvs.call(this);
    skipWithoutDpdk.call(this);
    machine = await startSlotNode();
    writeFileSync(join(machine.node.dir, 'ipam/refusing'), refusing, { mode: 0o755 });
  });
  after(async () => await machine?.[Symbol.asyncDispose]());
  afterEach(async () => {
    const ended = pods.splice(0);
    for (const { call } of ended) await machine.node.cni('DEL', { ...call, netns: '' });
    for (const pod of ended) await machine.end(pod);
    for (const { directory } of ended) assert.deepEqual(readdirSync(directory), []);
    assert.deepEqual(await machine.node.leftovers(), []);
  });

  const pod = async (config?: object) => {
    const made = await machine.pod(config);
    pods.push(made);
    return made;
  };
  const add = async ({ call }: SlotPod): Promise<CniAnswer['json']> => {
    const { exit, json, stdout } = await machine.node.cni('ADD', call);
    assert.equal(exit, 0, stdout);
    return json;
  };
  const check = async ({ call }: SlotPod, prevResult: unknown) =>
    await machine.node.cni('CHECK', { ...call, config: { ...(call.config as object), prevResult } });
  const del = async ({ call }: SlotPod) => succeeded(await machine.node.cni('DEL', call));
  const column = async (port: string, name: string) => await machine.node.ovs.vsctl('--no-wait', 'get', 'Interface', port, name);
  const packets = async (port: string) => Number(await column(port, 'statistics:tx_packets').catch(() => '0'));

  it('carries packets between two pods that were plugged by ADD, and again when ovs-vswitchd comes back; consumers stay', async () => {
    const deviceInfo = `/var/run/k8s.cni.cncf.io/devinfo/cni/${machine.node.dir.split('/').at(-1)}.json`;
    const [one, two] = [
      await pod({ mtu: 1400, vlan: 7, mac: macs[0], runtimeConfig: { CNIDeviceInfoFile: deviceInfo } }),
      await pod({ mtu: 1400, vlan: 7, mac: macs[1] }),
    ];
    const [a, b] = [await add(one), await add(two)];
    const [port, other] = [a.interfaces[0].name, b.interfaces[0].name];
    assert.deepEqual(a.interfaces, [
      { name: port },
      { name: 'net1', mac: macs[0], mtu: 1400, sandbox: one.netns.path, socketPath: one.socket },
    ]);
    assert.deepEqual(JSON.parse(readFileSync(deviceInfo, 'utf8')), {
      type: 'vhost-user',
      version: '1.1.0',
      'vhost-user': { mode: 'server', path: `/var/run/smartnic/${one.slot}/vhost.sock` },
    });
    const directory = statSync(one.directory);
    assert.deepEqual([directory.mode & 0o7777, directory.uid, directory.gid], [0o750, 0, 107]);
    assert.equal(await column(port, 'type'), 'dpdkvhostuserclient');
    assert.equal(await column(port, 'options'), `{vhost-server-path="${one.socket}"}`);
    assert.equal(await column(port, 'mtu_request'), '1400');
    assert.equal(await column(port, 'external_ids:smartnic-slot'), one.slot);
    assert.equal(await column(port, 'external_ids:attached-mac'), `"${macs[0]}"`);
    assert.equal(await machine.node.ovs.vsctl('get', 'Port', port, 'tag'), '7');
    succeeded(await check(one, a));

    await using receiver = await startConsumer({ socket: two.socket, mac: macs[1], mode: 'rxonly' });
    const args = [`--eth-peer=0,${macs[1]}`];
    await using sender = await startConsumer({ socket: one.socket, mac: macs[0], mode: 'txonly', args });
    const status = async (key: string) =>
      await Promise.all([port, other].map((each) => column(each, `status:${key}`).catch(() => '')));
    const connected = async () => (await status('status')).join() === 'connected,connected';
    await until(connected, 'both are connected');
    assert.deepEqual(await status('num_of_vrings'), ['"2"', '"2"']);
    await until(async () => (await packets(other)) > 1000, 'packets arrive');
    const before = await packets(other);
    succeeded(await check(two, b));

    await machine.node.ovs.killVswitchd();
    // Otherwise the test would read the figures of the one that died.
    for (const each of [port, other])
      await machine.node.ovs.vsctl('--no-wait', 'clear', 'Interface', each, 'statistics', 'status', 'mtu');
    const began = performance.now();
    await machine.node.ovs.startVswitchd();
    await until(connected, 'both are connected again');
    await until(async () => (await packets(other)) > 0, 'packets arrive again');
    console.log(
      `      ${before} packets before ovs-vswitchd was killed; they arrive again after ${Math.round(performance.now() - began)} ms`,
    );
    assert(receiver.running() && sender.running());
    succeeded(await check(one, a));
    await machine.node.ovs.vsctl('del-port', port);
    assert.match((await check(one, a)).json.msg, /Open vSwitch has no vhost-user port .* was it removed or changed by hand\?/);
    // As with kubelet, programs end before DEL.
    for (const each of [sender, receiver]) await each[Symbol.asyncDispose]();
    for (const each of [one, two]) await del(each);
    assert(!existsSync(deviceInfo));
  });

  it("is not taken from a program of an earlier pod that still serves its socket, and is the next pod's when that has ended", async () => {
    const one = await pod();
    {
      await using consumer = await startConsumer({ socket: one.socket, mac: macs[0], mode: 'rxonly' });
      await until(async () => existsSync(one.socket), 'it serves its socket');
      refused(
        await machine.node.cni('ADD', one.call),
        11,
        /a process still serves \S+vhost.sock, though kubelet has given \S+ to this pod/,
      );
      assert(existsSync(one.socket) && consumer.running());
    }
    await add(one);
    await del(one);
  });

  it('has its vhost-user port back when the bridge was deleted and made again, and the consumer connects again', async () => {
    const { ovs } = machine.node;
    const one = await pod({ mtu: 1400, vlan: 7, mac: macs[0] });
    const result = await add(one);
    const port: string = result.interfaces[0].name;
    const written = async () =>
      await Promise.all(['type', 'options', 'mtu_request', 'external_ids'].map((name) => column(port, name).catch(() => '')));
    const before = await written();
    await using consumer = await startConsumer({ socket: one.socket, mac: macs[0], mode: 'rxonly' });
    const connected = async () => (await column(port, 'status:status').catch(() => '')) === 'connected';
    await until(connected, 'it is connected');
    await ovs.vsctl('del-br', 'br0');
    await ovs.addBridge('br0');
    await until(async () => (await written()).join() === before.join(), 'the port is back', 20);
    assert.equal(await ovs.vsctl('get', 'Port', port, 'tag'), '7');
    await until(connected, 'it is connected again');
    succeeded(await check(one, result));
    assert(consumer.running());
    await consumer[Symbol.asyncDispose]();
    await del(one);
  });

  describe('keeps the contract of vnic types', () => {
    vnicContract(() => ({
      refusingIpam: 'refusing',
      cni: machine.node.cni,
      state: async () => (await machine.node.leftovers()).join('\n'),
      call: async (config) => (await pod(config)).call,
    }));
  });

  it('clears what an earlier pod left in the directory, and leaves its own to the container', async () => {
    const one = await pod();
    writeFileSync(join(one.directory, 'vhost.sock'), 'stale');
    writeFileSync(join(one.directory, 'core'), 'stale');
    await add(one);
    assert.deepEqual(readdirSync(one.directory), []);
    writeFileSync(join(one.directory, 'vhost.sock'), 'of this pod');
    await del(one);
  });

  /** The pod that kubelet gives the slot of another one to, which is gone for kubelet. */
  const successor = async (old: SlotPod): Promise<SlotPod> => {
    machine.kubelet.remove(old.name);
    const others = [await pod(), await pod(), await pod()];
    const next = others.find(({ slot }) => slot === old.slot);
    assert(next);
    return next;
  };

  it("does not touch the port and the socket of the slot's next pod in a late DEL, which frees nothing of it", async () => {
    const old = await pod();
    await add(old);
    const next = await successor(old);
    const result = await add(next);
    writeFileSync(next.socket, 'of the next pod');
    await del(old);
    assert.deepEqual(readdirSync(next.directory), ['vhost.sock']);
    succeeded(await check(next, result));
  });

  const whens = { '': false, ', and the sweep is just tearing that down': true };
  for (const [when, sweeping] of Object.entries(whens))
    it(`is the next pod's soon, though the former one's IPAM plugin hangs${when}`, async () => {
      const { node } = machine;
      const hang = join(node.dir, 'hang');
      const script = `[ $CNI_COMMAND = DEL ] && [ -e ${hang} ] && touch ${hang}ing && sleep 1000\nexec /usr/lib/cni/host-local`;
      await writeIpam(node, 'hangs', script);
      const { ipam } = network(node) as { readonly ipam: object };
      const old = await pod({ ipam: { ...ipam, type: 'hangs' } });
      await add(old);
      writeFileSync(hang, '');
      if (sweeping) {
        await node.server.stop('SIGKILL');
        for (const name of await node.journal())
          appendFileSync(join(node.stateDir, 'attachments', name), '\n{"phase":"deleting"}\n');
        await node.startServer();
        await until(async () => existsSync(`${hang}ing`), 'the sweep waits for IPAM');
      }
      const next = await successor(old);
      const began = performance.now();
      await add(next);
      assert(performance.now() - began < 15_000, `the ADD took ${performance.now() - began} ms`);
      for (const each of [hang, `${hang}ing`]) await rm(each, { force: true });
      await del(old);
      await del(next);
    });

  it("is given back on a read-only disk, and is nobody else's before that can be noted again", async () => {
    const { node } = machine;
    const old = await pod();
    await add(old);
    const next = await successor(old);
    {
      await using _ = await mountReadOnly(node.stateDir, node.server.pid);
      await del(old);
      refused(await node.cni('ADD', next.call), 11, /its former owner is not torn down yet/);
      await del(old);
    }
    await add(next);
    writeFileSync(next.socket, 'of the next pod');
    await del(old);
    assert.deepEqual(readdirSync(next.directory), ['vhost.sock']);
    await del(next);
  });

  it('goes with a DEL whose namespace is gone, and with one after the journal was lost, which no sweep takes for dead', async () => {
    const [one, two] = [await pod(), await pod()];
    const [a] = [await add(one), await add(two)];
    await one.netns[Symbol.asyncDispose]();
    await rm(join(machine.node.stateDir, 'attachments'), { recursive: true });
    await machine.node.server.stop('SIGKILL');
    await machine.node.startServer();
    assert.equal(await column(a.interfaces[0].name, 'type'), 'dpdkvhostuserclient');
    succeeded(await machine.node.cni('DEL', { ...one.call, netns: '' }));
    await del(two);
  });

  it('is refused on the kernel datapath, and when the network promises what only a VF can keep, and leaves nothing', async () => {
    await machine.node.ovs.vsctl('--no-wait', 'add-br', 'kernel0', '--', 'set', 'Bridge', 'kernel0', 'datapath_type=system');
    const [one, two] = [await pod({ bridge: 'kernel0' }), await pod({ maxTxRate: 100 })];
    refused(await machine.node.cni('ADD', one.call), 100, /bridge has datapath "system".* datapath_type=netdev/);
    refused(
      await machine.node.cni('ADD', two.call),
      7,
      /maxTxRate: 100 can't be had with vnic type virtio-forwarder, which has no VF/,
    );
    await machine.node.ovs.vsctl('--no-wait', 'del-br', 'kernel0');
  });
});

/** An IPAM plugin. */
const refusing = `#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
sleep 0.5
echo '{ "cniVersion": "1.0.0", "code": 101, "msg": "no" }'
exit 1
`;
