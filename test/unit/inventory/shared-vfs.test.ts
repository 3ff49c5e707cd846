// One set of VFs is offered under two names, and pods come and go. A VF never has two holders, whatever kubelet or we forget.
import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dialPlugin } from '../../support/fake-kubelet/plugin-client.ts';
import { FakeKubelet, type PodSpec } from '../../support/fake-kubelet.ts';
import { type OurPlugin, startOurs } from '../../support/our-plugin.ts';
import { someResource, someVf, someVfs } from '../../support/resources.ts';

const direct = 'smartnic.io/direct';
const forwarder = 'smartnic.io/virtio-forwarder';
const vfs = someVfs([1, 2], 4);
const resources = [someResource(direct, vfs), someResource(forwarder, vfs)] as const;

describe('vfs that are offered as direct and as virtio-forwarder', () => {
  let directory: string;
  let kubelet: FakeKubelet;
  let running: OurPlugin[];

  async function start(...[options]: [Parameters<typeof startOurs>[2]?]): Promise<OurPlugin> {
    const plugin = await startOurs(directory, resources, options);
    running.push(plugin);
    return plugin;
  }
  async function offered(ofDirect: number, ofForwarder: number): Promise<void> {
    await kubelet.untilOffered(direct, 8, ofDirect);
    await kubelet.untilOffered(forwarder, 8, ofForwarder);
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'k-'));
    for (const each of ['device-plugins', 'plugins_registry']) mkdirSync(join(directory, each));
    kubelet = new FakeKubelet({ directory });
    running = [];
    await kubelet.start();
  });

  afterEach(async () => {
    await Promise.all(running.map((plugin) => plugin.stop()));
    kubelet.stop();
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(kubelet.violations, []);
  });

  it('become unavailable under the other name when they are allocated, and available again when the pod has gone', async () => {
    await start();
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await offered(8, 5);
    await kubelet.admit(pod('b', { [forwarder]: 2 }));
    await offered(6, 5);
    kubelet.addPod('kube-system/other');
    kubelet.remove('default/a');
    await offered(6, 8);
  });

  it('go to one pod each when pods of both names are admitted at once; a pod that lost a race gets another one', async () => {
    await start();
    await offered(8, 8);
    const pods = Array.from({ length: 8 }, (_, at) => pod(`p${at}`, { [at % 2 === 0 ? direct : forwarder]: 1 }));
    let left = pods;
    for (let round = 0; left.length > 0; round++) {
      assert.ok(round < 8, 'in each round somebody wins');
      const answers = await Promise.allSettled(left.map((each) => kubelet.admit(each)));
      for (const answer of answers) if (answer.status === 'rejected') assert.match(String(answer.reason), /lost the race/);
      left = left.filter((_, at) => answers[at]?.status === 'rejected');
      await sleep(50);
    }
    const ids = pods.flatMap((each) => kubelet.given(each.name).flatMap((one) => one.ids));
    assert.equal(new Set(ids).size, 8);
    await offered(4, 4);
  });

  it('are advised so that pods admitted one after the other never lose a race', async () => {
    await start();
    await offered(8, 8);
    // Kubelet's own lists always come late, so only the plugin's advice counts.
    kubelet.behaviour.listDelay = 60_000;
    for (let at = 0; at < 8; at++) await kubelet.admit(pod(`p${at}`, { [at % 2 === 0 ? direct : forwarder]: 1 }));
  });

  it('can both be in one pod, in one container', async () => {
    await start();
    await offered(8, 8);
    const [a, b] = await kubelet.admit(pod('both', { [direct]: 1, [forwarder]: 1 }));
    assert.deepEqual(a?.devices, ['/dev/vfio/vfio:/dev/vfio/vfio:rw', '/dev/vfio/1000:/dev/vfio/1000:rw']);
    assert.deepEqual(b?.mounts, ['/run/smartnic/vhost/0000:01:01.3:/var/run/smartnic/0000:01:01.3:rw']);
  });

  it('are refused to the second of two Allocates under different names in the same moment, with a text that says so', async () => {
    await start();
    await offered(8, 8);
    const [vf] = vfs;
    const answers = await Promise.allSettled([
      kubelet.allocateRaw(direct, [[vf?.address ?? '']]),
      kubelet.allocateRaw(forwarder, [[vf?.address ?? '']]),
    ]);
    const [refused, ...others] = answers.filter((answer) => answer.status === 'rejected');
    assert.deepEqual(others, []);
    assert.match(
      String(refused?.reason),
      /^Error: 10 ABORTED: 0000:01:01.0 was asked for as .* but is already held as .*: this pod lost the race for a VF/,
    );
  });

  it('are refused all together when one of a pod is taken, and nothing is kept of it', async () => {
    const plugin = await start();
    await offered(8, 8);
    await kubelet.allocateRaw(forwarder, [['0000:01:01.0']]);
    await assert.rejects(kubelet.allocateRaw(direct, [['0000:01:01.1'], ['0000:01:01.0']]), /lost the race/);
    assert.deepEqual([...plugin.holdings.keys()], ['0000:01:01.0']);
  });

  it('are known as held after a restart of the plugin, before the first Allocate', async () => {
    const first = await start();
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await first.stop();
    const second = await start();
    assert.deepEqual([...second.holdings.keys()].toSorted(), ['0000:01:01.0', '0000:01:01.1', '0000:01:01.2']);
    await offered(8, 5);
  });

  it('are known as held from the checkpoint while kubelet is away', async () => {
    const first = await start();
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await first.stop();
    kubelet.stop();
    const second = await start();
    assert.equal(second.holdings.size, 3);
    assert.ok([...second.holdings.values()].every((holding) => holding.resource === direct));
  });

  it('are refused while neither kubelet nor its checkpoint says what is held, those offered under one name are not', async () => {
    kubelet.stop();
    rmSync(kubelet.path('pod-resources/kubelet.sock'), { force: true });
    const checkpoint = kubelet.path('device-plugins/kubelet_internal_checkpoint');
    writeFileSync(checkpoint, '{"Data": 5}');
    const plugin = await start();
    plugin.offer([someResource(direct, [...vfs, someVf(3, 0)]), someResource(forwarder, vfs)]);
    await kubelet.until('it serves', () => plugin.status[0]?.socket !== undefined);
    const client = await dialPlugin(plugin.status[0]?.socket ?? '', 1000);
    try {
      await assert.rejects(
        client.allocate([['0000:01:01.0']]),
        /^Error: 14 UNAVAILABLE: 0000:01:01.0 of .* not known yet .*cannot ask kubelet for its pods' devices.*Data: 5 is not an object/,
      );
      await client.allocate([['0000:03:01.0']]);
      writeFileSync(checkpoint, '{"Data": {"PodDeviceEntries": null, "RegisteredDevices": {}}, "Checksum": 1}');
      await sleep(200);
      await client.allocate([['0000:01:01.0']]);
    } finally {
      client.close();
    }
  });

  it('are told as unhealthy while it is not known under which name they are held, and none is refused then', async () => {
    kubelet.behaviour.podResources = 'not today';
    const checkpoint = kubelet.path('device-plugins/kubelet_internal_checkpoint');
    mkdirSync(checkpoint); // no kubelet can write or read it
    const plugin = await start();
    plugin.offer([someResource(direct, [...vfs, someVf(3, 0)]), someResource(forwarder, vfs)]);
    await kubelet.untilOffered(direct, 9, 1);
    await kubelet.untilOffered(forwarder, 8, 0);
    kubelet.behaviour.podResources = undefined;
    kubelet.addPod('kube-system/other');
    await kubelet.untilOffered(direct, 9);
    await kubelet.untilOffered(forwarder, 8);
  });

  it('stay held while kubelet has not learnt of its pods after its own restart', async () => {
    const plugin = await start({ ownPod: { namespace: 'kube-system', name: 'smartnic-abc' } });
    kubelet.addPod('kube-system/smartnic-abc');
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 3 }));
    kubelet.behaviour.podsKnown = false;
    await kubelet.restart();
    await sleep(800);
    assert.equal(plugin.holdings.size, 3);
    kubelet.behaviour.podsKnown = true;
    await offered(8, 5);
    kubelet.remove('default/a');
    await offered(8, 8);
  });

  it('are free again when the last pod of a node has gone, from a kubelet that has told of pods before', async () => {
    const plugin = await start();
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await kubelet.until('the list is believed', () => /kubelet says which VFs are held/.test(plugin.log.join('')));
    await offered(8, 5);
    kubelet.remove('default/a');
    await kubelet.until('freed', () => plugin.holdings.size === 0);
    await offered(8, 8);
  });

  it('are known as held when plugin and kubelet start together and kubelet has not learnt of its pods', async () => {
    const first = await start();
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await first.stop();
    kubelet.behaviour.podsKnown = false;
    await kubelet.restart();
    const second = await start();
    await offered(8, 5);
    await sleep(600);
    assert.equal(second.holdings.size, 3);
    assert.match(second.log.join(''), /list of pods is not complete yet: it has no pod at all/);
  });

  it('stay held after kubelet was away for longer than the grace, while it adds its pods one by one', async () => {
    kubelet.addPod('kube-system/smartnic-abc');
    const plugin = await start({ ownPod: { namespace: 'kube-system', name: 'smartnic-abc' }, timing: { doubt: 400 } });
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 8 }));
    await offered(8, 0);
    kubelet.stop();
    await sleep(600);
    kubelet.behaviour.podDelay = 400; // our own pod is the older one: a list with it lacks the other
    await kubelet.start();
    await kubelet.until('we are in its list', () => plugin.status.every(({ streams }) => streams > 0));
    await sleep(600);
    assert.equal(plugin.holdings.size, 8);
    await offered(8, 0);
    await kubelet.admit(pod('a', { [direct]: 8 })); // what is healthy may stay
    kubelet.remove('default/a');
    await offered(8, 8);
  });

  it('stay held by an ordinary init container for the life of its pod, though kubelet does not list it', async () => {
    const plugin = await start({ timing: { doubt: 400 } });
    await offered(8, 8);
    kubelet.addPod('kube-system/other');
    await kubelet.admit({ ...pod('a', { [direct]: 1 }), initContainers: { init: { [direct]: 3 } } });
    assert.equal(kubelet.given('default/a').length, 2);
    await sleep(900);
    assert.equal(plugin.holdings.size, 3);
    await offered(8, 5);
    const messages = kubelet.messages;
    await sleep(1000);
    assert.ok(kubelet.messages - messages <= 3, `kubelet was made to write its checkpoint ${kubelet.messages - messages} times`);
    kubelet.remove('default/a');
    await offered(8, 8);
  });

  it('are free again when their pod ended before it was ever listed, though the checkpoint still names it', async () => {
    const first = await start();
    await offered(8, 8);
    kubelet.addPod('kube-system/other');
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await first.stop();
    kubelet.remove('default/a');
    const second = await start();
    await offered(8, 8);
    await kubelet.until('freed', () => second.holdings.size === 0);
  });

  it('are free again only when the checkpoint can be read', async () => {
    const plugin = await start();
    await offered(8, 8);
    kubelet.addPod('kube-system/other');
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await offered(8, 5);
    const checkpoint = kubelet.path('device-plugins/kubelet_internal_checkpoint');
    rmSync(checkpoint);
    mkdirSync(checkpoint);
    kubelet.remove('default/a');
    await sleep(600);
    assert.equal(plugin.holdings.size, 3);
    assert.match(plugin.log.join(''), /cannot read kubelet's device checkpoint .*EISDIR/);
    rmSync(checkpoint, { recursive: true });
    await offered(8, 8);
  });

  it('are held by another plugin too: a pod that has one from there keeps it', async () => {
    const plugin = await startOurs(directory, [someResource('intel.com/sriov', vfs)]);
    await kubelet.untilOffered('intel.com/sriov', 8);
    await kubelet.admit(pod('old', { 'intel.com/sriov': 2 }));
    await plugin.stop();
    await start();
    await offered(6, 6);
  });

  it('are counted right when other readers use up the rate that kubelet allows', async () => {
    kubelet.behaviour.rate = 20;
    const plugin = await start();
    await offered(8, 8);
    await kubelet.admit(pod('a', { [direct]: 3 }));
    await kubelet.until('listed', () => plugin.holdings.size === 3);
    kubelet.addPod('kube-system/other');
    kubelet.remove('default/a');
    await kubelet.until('freed', () => plugin.holdings.size === 0);
  });
});

function pod(name: string, limits: Readonly<Record<string, number>>): PodSpec {
  return { name: `default/${name}`, containers: { main: limits } };
}
