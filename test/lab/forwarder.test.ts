// `virtio-forwarder` on real VFs: a consumer in the pod, a dpdk-testpmd relay of our supervisor, the VF on the real vfio-pci, its PF on the bridge.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refused, succeeded } from '../support/answers.ts';
import { vnicContract } from '../support/vnic-contract.ts';
import { type DirectMachine, endSharedMachine, type LabPod, sharedDirectMachine, virtio } from './direct-machine.ts';
import { type LabForwarder, ping, startForwarder, untilAnswered } from './forwarder.ts';
import { pfs } from './hardware.ts';
import { plugAllTypes, plugNeighbour, uplinks } from './three-types.ts';
import { bindVfs, makeVfs } from './vfs.ts';

describe('virtio-forwarder', () => {
  let machine: DirectMachine;
  let forwarder: LabForwarder;
  let clean: string;
  const pods: LabPod[] = [];
  /** Of pods with several interfaces. */
  const further: LabPod['call'][] = [];
  const bridged: string[] = [];

  before(async function () {
    machine = await sharedDirectMachine.call(this);
    // Else VFs that an earlier file's pods had count as used for half a minute more, and the pods here get VFs of their PF.
    await machine.kubelet.untilOffered(virtio, 14);
    forwarder = await startForwarder(machine);
  });
  beforeEach(async () => {
    clean = await state();
  });
  afterEach(async () => {
    for (const call of further.splice(0)) await machine.node.cni('DEL', { ...call, netns: '' });
    for (const each of pods.splice(0)) {
      await machine.node.cni('DEL', { ...each.call, netns: '' });
      await machine.end(each);
    }
    await machine.lab.sh(`pkill -KILL -f '^dpdk-testpmd .*server=1' || true`);
    for (const pf of bridged.splice(0)) await offBridge(pf);
    const now = await state();
    if (now !== clean) console.log((await machine.node.log('cni')).split('\n').slice(-40).join('\n'));
    assert.equal(now, clean, 'the machine is as it was before');
  });

  const state = async () => `${await machine.state()}\n${await forwarder.left()}`;
  const pod = async (resource: string | readonly string[], config?: object) => {
    const made = await machine.pod(resource, config);
    pods.push(made);
    return made;
  };
  const add = async ({ call }: LabPod) => {
    const answer = await machine.node.cni('ADD', call);
    assert.equal(answer.exit, 0, answer.stdout);
    return answer.json;
  };
  const check = async ({ call }: LabPod, prevResult: unknown) =>
    await machine.node.cni('CHECK', { ...call, config: { ...(call.config as object), prevResult } });
  const del = async ({ call }: LabPod) => succeeded(await machine.node.cni('DEL', call));

  const plugging = () => ({ machine, forwarder, pod });
  const neighbour = async (address: string, vlan: number) => await plugNeighbour(plugging(), address, vlan);
  const onBridge = async (...addresses: readonly string[]) => {
    for (const address of addresses) {
      bridged.push(address);
      await machine.node.vsctl('--may-exist', 'add-port', 'br0', await machine.pfNetdev(address));
    }
  };
  const offBridge = async (address: string) => {
    const pf = await machine.pfNetdev(address);
    await machine.node.vsctl('--if-exists', 'del-port', pf);
    await machine.lab.sh(`
      bridge fdb show dev ${pf} | grep '^.[26ae]:.* self permanent' | while read -r mac rest; do bridge fdb del $mac dev ${pf} self; done
    `);
  };

  it('relays between the bridge and the socket with the MAC and VLAN asked for, again after each kill, and ends with DEL', async () => {
    const { lab, node } = machine;
    const mac = '02:00:00:00:02:00';
    const one = await pod(virtio, { vlan: 100, mac });
    const [vf = ''] = one.vfs;
    assert.deepEqual(
      one.given.flatMap(({ devices }) => devices),
      [],
      "the vfio device is the forwarder's alone",
    );
    const pf = pfs.find(({ address }) => machine.vfs.some((each) => each.address === vf && each.pf === address));
    assert(pf);
    await onBridge(pf.address);
    const [near, far] = [await neighbour('10.9.0.1', 100), await neighbour('10.9.0.3', 200)];
    const result = await add(one);
    assert.deepEqual(result.interfaces, [
      { name: 'net1', mac, mtu: 1500, sandbox: one.netns, pciID: vf, socketPath: `/run/smartnic/vhost/${vf}/vhost.sock` },
    ]);
    assert.equal(await lab.sh(`basename $(readlink /sys/bus/pci/devices/${vf}/driver)`), 'vfio-pci');
    const consumer = await forwarder.consume(one, mac);
    const first = await untilAnswered(lab, near.netnsName, '10.9.0.2');
    const answers = await ping(lab, near.netnsName, '10.9.0.2', 30);
    assert.equal(await ping(lab, far.netnsName, '10.9.0.2', 3), 0, 'not from another VLAN');
    assert.match(await lab.sh('ovs-appctl fdb/show br0'), new RegExp(`^ *\\d+ +100 +${mac}`, 'm'));
    succeeded(await check(one, result));
    console.log(`      first answer after ${first} ms, then ${answers} of 30`);
    assert(answers >= 20);

    const relay = await forwarder.relays();
    await lab.sh(`kill -9 ${relay}`);
    console.log(`      relay killed: answers again after ${await untilAnswered(lab, near.netnsName, '10.9.0.2')} ms`);
    const successor = await forwarder.relays();
    assert.notEqual(successor, relay);
    await forwarder.kill();
    await node.restart('cni');
    assert(
      (await ping(lab, near.netnsName, '10.9.0.2', 10)) >= 7,
      'neither the supervisor nor the CNI server is in the way of frames',
    );
    await forwarder.start();
    await lab.sh(restartOvs);
    console.log(`      Open vSwitch restarted: answers again after ${await untilAnswered(lab, near.netnsName, '10.9.0.2')} ms`);
    assert.equal(await forwarder.relays(), successor);
    assert.equal(await lab.sh(`pgrep -f '^dpdk-testpmd .*server=1'`), consumer);
    succeeded(await check(one, result));
    await del(one);
    assert.equal(await forwarder.relays(), '');
  });

  it('is on one bridge with the other two types, in pods of their own and in one pod that has all three', async () => {
    await onBridge(...uplinks);
    const { near, targets, more } = await plugAllTypes(plugging());
    further.push(...more);
    const figures: string[] = [];
    for (const { type, address } of targets) {
      await untilAnswered(machine.lab, near.netnsName, address);
      const answers = await ping(machine.lab, near.netnsName, address, 20);
      figures.push(`${type} ${answers}`);
      assert(answers >= 15, `of 20 echo requests to ${type} ${answers} were answered`);
    }
    console.log(
      `      of 20 echoes each, three pods: ${figures.slice(0, 3).join(', ')}; one pod: ${figures.slice(3).join(', ')}`,
    );
    for (const call of more) succeeded(await machine.node.cni('DEL', call));
    for (const each of pods) await del(each);
    assert.equal(await forwarder.relays(), '');
  });

  describe('keeps the contract of vnic types', () => {
    vnicContract(() => ({
      refusingIpam: 'refusing',
      cni: machine.node.cni,
      state,
      call: async (config) => (await pod(virtio, config)).call,
    }));
  });

  it("passes the forwarder's refusal on, and nothing is left of the VF", async () => {
    const one = await pod(virtio);
    await machine.lab.sh('chmod -x /usr/bin/dpdk-testpmd');
    const answer = await machine.node.cni('ADD', one.call);
    await machine.lab.sh('chmod +x /usr/bin/dpdk-testpmd');
    refused(answer, 100, /^the forwarder did not attach: dpdk-testpmd between .* ended at once: .*Permission denied/);
    assert.equal(await state(), clean);
  });

  it('goes with a DEL whose namespace is gone, and waits for a forwarder that is away, whose VF nobody else gets meanwhile', async () => {
    const [one, two] = [await pod(virtio), await pod(virtio)];
    await add(one);
    await add(two);
    await machine.lab.sh(`ip netns delete ${one.netnsName}`);
    succeeded(await machine.node.cni('DEL', { ...one.call, netns: '' }));
    await forwarder.kill();
    await del(two);
    assert.equal(await machine.lab.sh(`basename $(readlink /sys/bus/pci/devices/${two.vfs[0]}/driver)`), 'vfio-pci');
    await forwarder.start();
    await machine.node.restart('cni');
    assert.equal(await state(), clean);
  });

  it('lets a pod go whose VF is being removed: the kernel waits for the relay, which ends with DEL', async () => {
    const one = await pod(virtio);
    await add(one);
    const pf = machine.vfs.find(({ address }) => address === one.vfs[0])?.pf;
    await machine.lab.sh(`setsid sh -c 'echo 0 >/sys/bus/pci/devices/${pf}/sriov_numvfs' </dev/null >/dev/null 2>&1 & sleep 0.5`);
    await del(one);
    await machine.lab.sh(
      `for tries in $(seq 100); do [ $(cat /sys/bus/pci/devices/${pf}/sriov_numvfs) = 0 ] && exit 0; sleep 0.1; done; exit 1`,
    );
    await machine.end(one);
    assert.equal(await forwarder.left(), '');
    const vfs = await makeVfs(machine.lab, pfs[2], 7);
    assert.equal(pf, pfs[2].address);
    await bindVfs(machine.lab, vfs, 'igbvf');
    await machine.kubelet.untilOffered(virtio, 14);
    // Names and addresses of the new netdevs are others.
    clean = await state();
  });

  describe('when the server is killed', () => {
    const config = { maxTxRate: 100, vlan: 5 };
    let steps: { readonly ADD: readonly string[]; readonly DEL: readonly string[] };
    const killed = async (step: string, command: string, { call }: LabPod) => {
      const answer = await machine.node.killedAt(step, async () => await machine.node.cni(command, call));
      // The executable sends a DEL again; whether it waits long enough for the successor depends on the machine.
      assert(answer.json.code === 11 || (command === 'DEL' && answer.exit === 0), `${step}: ${answer.stdout}`);
    };
    const isClean = async (step: string) => assert.equal(await state(), clean, `killed at "${step}"`);

    before(async () => {
      const file = join(machine.lab.share, 'forwarder-steps');
      await machine.node.restart('cni', { SMARTNIC_STEP_HOOK: 'record:/share/forwarder-steps' });
      const one = await pod(virtio, config);
      await add(one);
      const added = await stepsIn(file);
      await del(one);
      const deleted = (await stepsIn(file)).slice(added.length);
      steps = { ADD: [...new Set(added)], DEL: [...new Set(deleted)] };
      await machine.node.restart('cni');
    });

    it('in an ADD, at each of its steps, it leaves nothing, and the pod can be plugged', async () => {
      assert(
        ['device claimed', 'intent written', 'vf bound', 'forwarder attached', 'committed'].every((step) =>
          steps.ADD.includes(step),
        ),
      );
      const one = await pod(virtio, config);
      for (const step of steps.ADD) {
        await killed(step, 'ADD', one);
        // Once committed it is the runtime's, which will delete what it got no answer for.
        if (step === 'committed') await del(one);
        await isClean(step);
        console.log(`        ${step}`);
      }
      await add(one);
      await del(one);
    });

    it('in a DEL, at each of its steps, its successor finishes it', async () => {
      assert(
        ['deletion noted', 'forwarder detached', 'vf released', 'journal cleared'].every((step) => steps.DEL.includes(step)),
      );
      const one = await pod(virtio, config);
      for (const step of steps.DEL) {
        await add(one);
        await killed(step, 'DEL', one);
        await isClean(step);
        console.log(`        ${step}`);
      }
      await del(one);
    });
  });
});

after(endSharedMachine);

const restartOvs = `
  ovs-appctl -t ovs-vswitchd exit
  while [ -e /run/openvswitch/ovs-vswitchd.pid ]; do sleep 0.1; done
  ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --log-file --no-chdir
`;

async function stepsIn(file: string): Promise<readonly string[]> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => line.split('\t')[0] ?? '');
}
