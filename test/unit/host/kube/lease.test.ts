// Who leads: one of several, another one when it releases or goes silent, never two by the same version of the Lease.
import { deepEqual, equal } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLease } from '../../../../host/kube/lease.ts';
import { FakeObjectApi } from '../../../support/fake-object-api.ts';

const path = '/apis/coordination.k8s.io/v1/namespaces/n/leases/l';

describe('a Lease', () => {
  let api: FakeObjectApi;
  let url: string;
  beforeEach(async () => {
    api = new FakeObjectApi();
    url = await api.start();
    api.put(path, { metadata: { name: 'l' } });
  });
  afterEach(async () => await api[Symbol.asyncDispose]());
  const open = (identity: string, duration = 15) =>
    openLease({ url, credentials: '' }, { namespace: 'n', name: 'l', identity, duration });

  it('is held by who was first, and renewed', async () => {
    const [a, b] = [open('a'), open('b')];
    deepEqual([await a.hold(), await b.hold(), await a.hold(), await b.hold()], [true, false, true, false]);
    equal(api.objects.get(path).spec.leaseTransitions, 1);
  });

  it('is taken at once when it was released', async () => {
    const [a, b] = [open('a'), open('b')];
    await a.hold();
    await b.release();
    equal(await b.hold(), false);
    await a.release();
    equal(await b.hold(), true);
    equal(api.objects.get(path).spec.holderIdentity, 'b');
  });

  it('is taken when its holder has been silent for its duration, by the own clock', async () => {
    const [a, b] = [open('a', 0.2), open('b', 0.2)];
    await a.hold();
    equal(await b.hold(), false);
    await sleep(300);
    equal(await b.hold(), true);
    equal(await a.hold(), false);
  });

  it('is got by one of many who come at once', async () => {
    const all = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((each) => open(each).hold()));
    equal(all.filter((leads) => leads).length, 1);
  });
});
