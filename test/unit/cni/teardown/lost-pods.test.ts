import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attachment } from '../../../../cni/attachment/attachment.ts';
import type { Settings } from '../../../../cni/attachment/settings.ts';
import { makeFindLoss } from '../../../../cni/teardown/lost-pods.ts';
import { Unavailable } from '../../../../host/base/errors.ts';
import type { Host } from '../../../../host/host.ts';
import { noPods, type PodName, type Pods } from '../../../../host/kube/pods.ts';
import { FakeKubelet } from '../../../support/fake-kubelet.ts';

const pod = { podNamespace: 'test', podName: 'a', podUid: 'uid-1' };
const attachment = (more: Partial<Attachment> = {}) =>
  ({ id: '1', network: 'n', ifname: 'net1', containerId: 'old', since: '2026-01-01T00:00:00.000Z', pod, ...more }) as Attachment;

/** An API server that has these pods, by UID. */
const podsWith = (...uids: readonly string[]): Pods => ({
  ...noPods,
  configured: true,
  annotations: async ({ uid }: PodName) => ((uid === undefined ? uids.length > 0 : uids.includes(uid)) ? {} : undefined),
});

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

  const finding = (pods: Pods) => {
    const context = {
      host: { root: '/' } as Host,
      pods,
      settings: { kubeletDir: kubelet.directory, lostPodAfter: 30 } as Settings,
    };
    return makeFindLoss(context, () => time.now);
  };
  const looks = async (pods: Pods, one = attachment(), others: readonly Attachment[] = []) => {
    const find = finding(pods);
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
    const find = finding(pods);
    assert.equal(await find(attachment(), []), undefined);
    uids.push('uid-1');
    time.now += 30_000;
    assert.equal(await find(attachment(), []), undefined);
    uids.pop();
    assert.equal(await find(attachment(), []), undefined);
  });

  it('is found when its pod has a newer sandbox with this interface', async () => {
    const newer = attachment({ id: '2', containerId: 'new', since: '2026-01-01T00:00:01.000Z' });
    const [, why] = await looks(podsWith('uid-1'), attachment(), [attachment(), newer]);
    assert.match(why ?? '', /^pod test\/a has another sandbox by now/);
    assert.deepEqual(await looks(podsWith('uid-1'), newer, [attachment(), newer]), [undefined, undefined]);
    const elsewhere = attachment({ ...newer, ifname: 'net2' });
    assert.deepEqual(await looks(podsWith('uid-1'), attachment(), [attachment(), elsewhere]), [undefined, undefined]);
  });

  it('is not one that only kubelet knows (a static pod)', async () => {
    kubelet.addPod('test/a');
    assert.deepEqual(await looks(podsWith()), [undefined, undefined]);
  });

  it('is nobody when it can not be asked: kubelet or the API server is away, none is configured, the pod is not told', async () => {
    const nothing = [undefined, undefined];
    const away = async () => {
      throw new Unavailable('the API server is away');
    };
    assert.deepEqual(await looks({ ...podsWith(), annotations: away }), nothing);
    assert.deepEqual(await looks(noPods), nothing);
    assert.deepEqual(await looks(podsWith(), attachment({ pod: {} })), nothing);
    kubelet.stop();
    assert.deepEqual(await looks(podsWith()), nothing);
  });
});
