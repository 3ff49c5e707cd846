// Whose VF it is: the question to the fake kubelet.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { parseSettings } from '../../../../cni/attachment/settings.ts';
import { otherHolder, reservedDevice } from '../../../../cni/claim/reservation.ts';
import { parseRequest } from '../../../../cni/protocol/request.ts';
import { Unavailable } from '../../../../host/base/errors.ts';
import type { Reserved } from '../../../../vnic/port.ts';
import { FakeKubelet } from '../../../support/fake-kubelet.ts';
import { startOurs } from '../../../support/our-plugin.ts';
import { someResource, someVfs } from '../../../support/resources.ts';

const direct = 'smartnic.io/direct';
const a = '0000:01:01.0';

describe("the pod's vf as kubelet tells it", () => {
  let root: string;
  let kubelet: FakeKubelet;
  let stop: () => Promise<void>;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'k-'));
    kubelet = new FakeKubelet({ directory: join(root, 'kubelet') });
    await kubelet.start();
    const slots = (name: string, id: string) =>
      someResource(`smartnic.io/${name}`, [], { vnicType: 'virtio-forwarder', units: [{ id, problems: [], numaNodes: [] }] });
    const resources = [someResource(direct, someVfs([1], 4)), slots('slot', 'ovs-0'), slots('stranger', '../ovs-0')];
    ({ stop } = await startOurs(join(root, 'kubelet'), resources, { timing: { reconcile: 60_000 } }));
    for (const each of ['slot', 'stranger']) {
      await kubelet.untilOffered(`smartnic.io/${each}`, 1);
      await kubelet.admit({ name: `shop/${each}`, containers: { one: { [`smartnic.io/${each}`]: 1 } } });
    }
    await kubelet.untilOffered(direct, 4);
    await kubelet.admit({ name: 'shop/web', containers: { one: { [direct]: 1 }, two: { [direct]: 1 } } });
    await kubelet.admit({ name: 'shop/db', containers: { one: { [direct]: 1 } } });
    kubelet.addPod('shop/plain');
    await kubelet.admit({ name: 'shop/init', initContainers: { first: { [direct]: 1 } }, containers: {} });
  });
  after(async () => {
    await stop();
    kubelet.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const context = () => ({
    host: { root, log: pino({ level: 'silent' }) } as unknown as Parameters<typeof reservedDevice>[0]['host'],
    settings: { ...parseSettings('kubeletDir: /kubelet', 'f'), nodeName: 'n' },
  });
  const request = (pod: string, config: object = {}) =>
    parseRequest(
      {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'c',
        CNI_NETNS: '/run/netns/a',
        CNI_IFNAME: 'net1',
        CNI_PATH: '/x',
        CNI_ARGS: pod === '' ? '' : `K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod};K8S_POD_UID=shop/${pod}`,
      },
      JSON.stringify({ cniVersion: '1.0.0', name: 'n', type: 'smartnic', bridge: 'br0', ...config }),
    );
  const reserved = async (pod: string, config: object = {}, taken: ReadonlyMap<string, string> = new Map()) =>
    await reservedDevice(context(), request(pod, config), { type: 'direct', kind: 'vf', taken });
  const held = (pod: string) =>
    kubelet
      .given(`shop/${pod}`)
      .flatMap(({ ids }) => ids)
      .toSorted();

  it("is the pod's own, one by one for its interfaces", async () => {
    const [first = '', second = ''] = held('web');
    assert.equal(await reserved('web'), first);
    assert.equal(await reserved('web', {}, new Map([[first, 'net1']])), second);
  });

  it('is the same where kubelet has no Get', async () => {
    kubelet.behaviour.podResourcesGet = false;
    assert.equal(await reserved('web'), held('web')[0]);
    kubelet.behaviour.podResourcesGet = true;
  });

  it('is a vf where the forwarder needs one and a slot where it is the switch, and never anything else', async () => {
    const taking = async (pod: string, kind: Reserved['kind']) =>
      await reservedDevice(context(), request(pod, { resource: pod === 'web' ? direct : `smartnic.io/${pod}` }), {
        ...{ type: 'virtio-forwarder', kind, taken: new Map() },
      });
    assert.equal(await taking('slot', 'slot'), 'ovs-0');
    await assert.rejects(taking('slot', 'vf'), {
      code: 7,
      message:
        /^ovs-0: was allocated as smartnic.io\/slot, a slot, but virtio-forwarder needs a VF on this node; slots are for "forwarder/,
    });
    await assert.rejects(taking('web', 'slot'), {
      code: 7,
      message: /a VF, but this node's forwarder is ovs-dpdk, which takes none; give its pool "slots" instead of "selectors"/,
    });
    await assert.rejects(taking('stranger', 'slot'), /neither a PCI address nor a slot; whose device plugin offers it\?/);
  });

  it("is Multus' in either place and spelling, but only where both say the same", async () => {
    const [, second = ''] = held('web');
    assert.equal(await reserved('web', { deviceID: second.toUpperCase() }), second);
    assert.equal(await reserved('web', { runtimeConfig: { deviceID: second } }), second);
    await assert.rejects(
      reserved('web', { deviceID: second, runtimeConfig: { deviceID: a } }),
      /a network must not set it itself/,
    );
  });

  it('names the pod whose vf was asked for', async () => {
    const [db = ''] = held('db');
    await assert.rejects(reserved('web', { deviceID: db }), {
      code: 7,
      message: new RegExp(`not allocated ${db} to pod shop/web.*\\(pod shop/db has it\\)$`),
    });
    assert.equal(await otherHolder(context(), db, { podNamespace: 'shop', podName: 'web' }), 'shop/db');
    assert.equal(await otherHolder(context(), db, { podNamespace: 'shop', podName: 'db' }), undefined);
  });

  it('is also one that only an init container was given, which kubelet does not list', async () => {
    const [init = ''] = held('init');
    assert.equal(await reserved('init'), init);
    assert.equal(await reserved('init', { deviceID: init }), init);
    const web = { podNamespace: 'shop', podName: 'web', podUid: 'shop/web' };
    assert.equal(await otherHolder(context(), init, web), 'with UID shop/init');
    const self = { podNamespace: 'shop', podName: 'init', podUid: 'shop/init' };
    assert.equal(await otherHolder(context(), init, self), undefined);
  });

  it('is none for a pod without devices, and for no pod at all', async () => {
    await assert.rejects(reserved('plain'), /pod shop\/plain has no smartnic.io\/direct/);
    await assert.rejects(reserved(''), { code: 4, message: /^CNI_ARGS: has no K8S_POD_NAMESPACE/ });
  });

  it('is refused when the device plugin gave it out for another vnic type', async () => {
    const [first = ''] = held('web');
    const folder = join(root, 'var/run/k8s.cni.cncf.io/devinfo/dp');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `smartnic.io-direct-${first}-device.json`);
    writeFileSync(file, JSON.stringify({ type: 'vhost-user' }));
    await assert.rejects(reserved('web'), /which the device plugin gives out for virtio-forwarder, but this interface is direct/);
    writeFileSync(file, '{ "type": ');
    await assert.rejects(
      reserved('web'),
      /devinfo\/dp\/smartnic\.io-direct-\S+-device\.json is not JSON: .*; remove it, the device plugin/,
    );
    writeFileSync(file, JSON.stringify({ type: 'pci' }));
    assert.equal(await reserved('web'), first);
  });

  it('comes from the checkpoint while kubelet is away, and is "try again" when that does not know the pod', async () => {
    kubelet.stop();
    assert.equal(await reserved('web'), held('web')[0]);
    await assert.rejects(reserved('plain'), (error) => error instanceof Unavailable);
    await kubelet.start();
  });

  it('is "try again" as long as kubelet has not learnt of the pod', async () => {
    kubelet.behaviour.podsKnown = false;
    await assert.rejects(
      reserved('late'),
      (error) => error instanceof Unavailable && /kubelet does not know pod shop\/late/.test(error.message),
    );
    kubelet.behaviour.podsKnown = true;
  });
});
