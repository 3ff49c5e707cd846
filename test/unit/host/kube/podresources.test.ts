// PodResources and the checkpoint, asked of the fake kubelet.
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../../../../host/base/errors.ts';
import { parseCheckpoint, readCheckpoint } from '../../../../host/kube/kubelet-checkpoint.ts';
import { findPodDevices, listPodDevices } from '../../../../host/kube/podresources.ts';
import { FakeKubelet } from '../../../support/fake-kubelet.ts';
import { startOurs } from '../../../support/our-plugin.ts';
import { someResource, someVfs } from '../../../support/resources.ts';

describe("kubelet's word on who has what", () => {
  let root: string;
  let kubelet: FakeKubelet;
  let stop: () => Promise<void>;
  const place = { socket: '/pod-resources/kubelet.sock' };
  const pod = { namespace: 'tenant', name: 'a' };
  const devices = [
    { container: 'one', resource: 'smartnic.io/direct', ids: ['0000:01:01.1', '0000:01:01.0'] },
    { container: 'two', resource: 'smartnic.io/direct', ids: ['0000:01:01.2'] },
  ];

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'k-'));
    kubelet = new FakeKubelet({ directory: root });
    await kubelet.start();
    ({ stop } = await startOurs(root, [someResource('smartnic.io/direct', someVfs([1], 4))], { timing: { reconcile: 60_000 } }));
    await kubelet.untilOffered('smartnic.io/direct', 4);
    await kubelet.admit({ name: 'tenant/a', containers: { one: { 'smartnic.io/direct': 2 }, two: { 'smartnic.io/direct': 1 } } });
    kubelet.addPod('kube-system/plain');
  });

  after(async () => {
    await stop();
    kubelet.stop();
    rmSync(root, { recursive: true, force: true });
  });

  it('lists every pod, those without devices too', async () => {
    assert.deepEqual(await listPodDevices({ root }, place), [
      { ...pod, devices },
      { namespace: 'kube-system', name: 'plain', devices: [] },
    ]);
  });

  for (const podResourcesGet of [true, false]) {
    it(`finds one pod ${podResourcesGet ? 'by Get' : 'by List where Get is disabled'}, and knows when there is none`, async () => {
      kubelet.behaviour.podResourcesGet = podResourcesGet;
      assert.deepEqual(await findPodDevices({ root }, pod, place), { ...pod, devices });
      assert.equal(await findPodDevices({ root }, { ...pod, namespace: 'other' }, place), undefined);
    });
  }

  it('is waited for by 100 askers at once, though kubelet lets 10 through', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => listPodDevices({ root }, place)));
    assert.ok(answers.every((answer) => answer.length === 2));
  });

  it('gives up on the rate limit when the time is over', async () => {
    kubelet.behaviour.burst = 0;
    await assert.rejects(listPodDevices({ root }, { ...place, timeout: 300 }), /RESOURCE_EXHAUSTED: rejected by rate limit/);
    kubelet.behaviour.burst = 10;
  });

  it('is unavailable, with the path and what to do, when nobody listens', async () => {
    await assert.rejects(
      findPodDevices({ root }, pod, { socket: '/nowhere.sock' }),
      (error) =>
        error instanceof Unavailable &&
        /PodResources Get on \S*\/nowhere.sock\): connect ENOENT \S*\/nowhere.sock; is kubelet running/.test(error.message),
    );
  });

  it('stands in the checkpoint as well', () => {
    assert.deepEqual(readCheckpoint({ root }, '/device-plugins/kubelet_internal_checkpoint'), [
      { podUid: 'tenant/a', container: 'one', resource: 'smartnic.io/direct', ids: ['0000:01:01.0', '0000:01:01.1'] },
      { podUid: 'tenant/a', container: 'two', resource: 'smartnic.io/direct', ids: ['0000:01:01.2'] },
    ]);
    assert.equal(readCheckpoint({ root }, '/absent'), undefined);
  });

  it('is refused with the place of what is wrong in a checkpoint', () => {
    const file = join(root, 'broken');
    writeFileSync(
      file,
      '{"Data":{"PodDeviceEntries":[{"PodUID":"u","ContainerName":"c","ResourceName":"a/b","DeviceIDs":{"0":[1]}}]}}',
    );
    assert.throws(
      () => readCheckpoint({ root }, '/broken'),
      /cannot read .*\/broken: .*Data.PodDeviceEntries.0.DeviceIDs.0.0: 1 is not a string/,
    );
    writeFileSync(file, '{"Data":');
    assert.throws(() => readCheckpoint({ root }, '/broken'), /cannot read .*\/broken: .*JSON/);
  });

  it('may be written by a newer kubelet, with lists of several NUMA nodes and empty ones as null', () => {
    const entry = {
      PodUID: 'u',
      ContainerName: 'c',
      ResourceName: 'a/b',
      DeviceIDs: { '0': ['x'], '1': ['y'], '-1': null },
      New: 1,
    };
    const text = JSON.stringify({
      Data: { PodDeviceEntries: [entry], RegisteredDevices: null },
      Checksum: 1,
      BootID: 'b',
      New: {},
    });
    assert.deepEqual(parseCheckpoint(text), [{ podUid: 'u', container: 'c', resource: 'a/b', ids: ['x', 'y'] }]);
    assert.deepEqual(parseCheckpoint('{"Data":{"PodDeviceEntries":null}}'), []);
  });
});
