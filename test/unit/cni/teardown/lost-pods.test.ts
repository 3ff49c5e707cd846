import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attachment } from '../../../../cni/attachment/attachment.ts';
import type { JournalView } from '../../../../cni/attachment/journal.ts';
import type { Settings } from '../../../../cni/attachment/settings.ts';
import { makeFindLoss } from '../../../../cni/teardown/lost-pods.ts';
import { Unavailable } from '../../../../host/base/errors.ts';
import type { Host } from '../../../../host/host.ts';
import type { PodName } from '../../../../host/kube/pod-name.ts';
import { noPods, type Pods } from '../../../../host/kube/pods.ts';
import { FakeKubelet } from '../../../support/fake-kubelet.ts';

const pod = { podNamespace: 'test', podName: 'a', podUid: 'uid-1' };
const bootId = 'boot';
/** Like a VF at vfio-pci, `direct` without a VF says nothing of its pod: it counts as alive. */
const attachment = (more: Partial<Attachment> = {}) =>
  ({
    ...{ id: '1', network: 'n', ifname: 'net1', containerId: 'old', vnicType: 'direct', bootId, pod },
    ...{ since: '2026-01-01T10:00:00.000Z', began: 1000, ...more },
  }) as Attachment;

/** An API server that has these pods, by UID. */
const podsWith = (...uids: readonly string[]): Pods => ({
  ...noPods,
  configured: true,
  annotations: async ({ uid }: PodName) => ((uid === undefined ? uids.length > 0 : uids.includes(uid)) ? {} : undefined),
});

const nothing = [undefined, undefined];

describe('a pod that the runtime has lost', () => {
  const time = { now: 0 };
  let kubelet: FakeKubelet;
  beforeEach(async () => {
    time.now = 0;
    kubelet = new FakeKubelet({ directory: mkdtempSync(join(tmpdir(), 'k-')) });
    await kubelet.start();
  });
  afterEach(() => {
    kubelet.stop();
    rmSync(kubelet.directory, { recursive: true });
  });

  /** `added`: ids of the attachments whose ADD is done. */
  const finding = (pods: Pods, added: readonly string[]) => {
    const find = (id: string) => (added.includes(id) ? { attachment: attachment({ id }), phase: 'added' as const } : undefined);
    const context = {
      host: { root: kubelet.directory } as Host,
      pods,
      bootId,
      settings: { kubeletDir: '/', lostPodAfter: 30 } as Settings,
      journal: { find } satisfies Pick<JournalView, 'find'>,
    };
    return makeFindLoss(context, () => time.now);
  };
  const looks = async (
    pods: Pods,
    one = attachment(),
    others: readonly Attachment[] = [],
    added: readonly string[] = others.map(({ id }) => id),
  ) => {
    const find = finding(pods, added);
    const first = await find(one, others);
    time.now += 30_000;
    return [first, await find(one, others)];
  };

  it('is found when API server and kubelet both do not know it, at the second look', async () => {
    assert.deepEqual(await looks(podsWith()), [undefined, 'pod test/a is gone, and the runtime sent no DEL']);
    assert.equal((await looks(podsWith('another of the same name')))[1], 'pod test/a is gone, and the runtime sent no DEL');
  });

  it('is not believed lost when it was there in between', async () => {
    const uids: string[] = [];
    const pods = { ...podsWith(), annotations: async ({ uid = '' }: PodName) => (uids.includes(uid) ? {} : undefined) };
    const find = finding(pods, []);
    assert.equal(await find(attachment(), []), undefined);
    uids.push('uid-1');
    time.now += 30_000;
    assert.equal(await find(attachment(), []), undefined);
    uids.pop();
    assert.equal(await find(attachment(), []), undefined);
  });

  it('is found when its pod has a newer sandbox with this interface', async () => {
    const newer = attachment({ id: '2', containerId: 'new', began: 1001 });
    const [, why] = await looks(podsWith('uid-1'), attachment(), [attachment(), newer]);
    assert.match(why ?? '', /^pod test\/a has another sandbox by now/);
    assert.deepEqual(await looks(podsWith('uid-1'), newer, [attachment(), newer]), nothing);
    const elsewhere = attachment({ ...newer, ifname: 'net2' });
    assert.deepEqual(await looks(podsWith('uid-1'), attachment(), [attachment(), elsewhere]), nothing);
  });

  it('is the older sandbox also after the clock was set back between the two', async () => {
    const newer = attachment({ id: '2', containerId: 'new', began: 1001, since: '2026-01-01T08:01:00.000Z' });
    assert.match((await looks(podsWith('uid-1'), attachment(), [attachment(), newer]))[1] ?? '', /has another sandbox by now/);
    assert.deepEqual(await looks(podsWith('uid-1'), newer, [attachment(), newer]), nothing);
  });

  it('is not one whose newer sandbox does not live: its ADD is not done, it is gone, it is of another boot', async () => {
    const newer = attachment({ id: '2', containerId: 'new', began: 1001 });
    assert.deepEqual(await looks(podsWith('uid-1'), attachment(), [attachment(), newer], ['1']), nothing);
    const rebooted = attachment({ ...newer, bootId: 'another' });
    assert.deepEqual(await looks(podsWith('uid-1'), attachment(), [attachment(), rebooted]), nothing);
    const unplugged = attachment({
      ...newer,
      reserved: { kind: 'vf', id: '0000:00:00.0' } as NonNullable<Attachment['reserved']>,
    });
    assert.deepEqual(await looks(podsWith('uid-1'), attachment(), [attachment(), unplugged]), nothing);
  });

  it('is found at the same time, however often somebody only looks', async () => {
    const find = finding(podsWith(), []);
    assert.equal(await find(attachment(), []), undefined);
    time.now += 30_000;
    const why = 'pod test/a is gone, and the runtime sent no DEL';
    assert.deepEqual([await find.peek(attachment(), []), await find.peek(attachment(), [])], [why, why]);
    assert.equal(await find(attachment(), []), why);
    const fresh = finding(podsWith(), []);
    assert.equal(await fresh.peek(attachment(), []), undefined);
    time.now += 30_000;
    assert.equal(await fresh(attachment(), []), undefined);
  });

  it('is not one that only kubelet knows (a static pod)', async () => {
    kubelet.addPod('test/a');
    assert.deepEqual(await looks(podsWith()), nothing);
  });

  it('is not one that ends here while a pod of its name is elsewhere already, or its mirror is not up to date', async () => {
    kubelet.addPod('test/a');
    assert.deepEqual(await looks(podsWith('of the other')), nothing);
  });

  it('is found though kubelet lists its name, when a newer pod here bears it', async () => {
    kubelet.addPod('test/a');
    const newer = attachment({ id: '2', containerId: 'new', began: 1001, pod: { ...pod, podUid: 'uid-2' } });
    const [, why] = await looks(podsWith('uid-2'), attachment(), [attachment(), newer]);
    assert.equal(why, 'pod test/a is gone, and the runtime sent no DEL');
  });

  it('is not one that kubelet has forgotten too, but whose processes go on (deleted by force)', async () => {
    const cgroup = join(
      kubelet.directory,
      'sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poduid_1.slice',
    );
    mkdirSync(cgroup, { recursive: true });
    writeFileSync(join(cgroup, 'cgroup.events'), 'populated 1\nfrozen 0\n');
    assert.deepEqual(await looks(podsWith()), nothing);
    writeFileSync(join(cgroup, 'cgroup.events'), 'populated 0\nfrozen 0\n');
    assert.match((await looks(podsWith()))[1] ?? '', /is gone/);
  });

  it('is nobody when it can not be asked: kubelet or the API server is away, none is configured, the pod is not told', async () => {
    const away = async () => {
      throw new Unavailable('the API server is away');
    };
    await assert.rejects(looks({ ...podsWith(), annotations: away }), /^Unavailable: the API server is away$/);
    await assert.rejects(looks({ ...podsWith('uid-1'), problem: () => 'not watched yet' }), /^Unavailable: not watched yet$/);
    assert.deepEqual(await looks(noPods), nothing);
    assert.deepEqual(await looks(podsWith(), attachment({ pod: {} })), nothing);
    kubelet.stop();
    await assert.rejects(looks(podsWith()), Unavailable);
  });
});
