// Who holds a vf: the rules, on a clock of the test's own.
import { strict as assert } from 'node:assert';
import { type Holdings, heldTwice, reconcile, sameHolders, take } from '../../../device-plugin/holdings.ts';

const grace = 30_000;
const a = { id: '0000:01:01.0', resource: 'x/direct' };
const none: Holdings = new Map();

describe('holdings', () => {
  it('keep an allocation that kubelet does not list yet, until the grace is over', () => {
    const taken = take(none, [a.id], a.resource, 1000);
    assert.equal(reconcile(taken, [], 1000 + grace, grace).size, 1);
    assert.equal(reconcile(taken, [], 1001 + grace, grace).size, 0);
  });

  it('count the grace anew from each time that kubelet lists a vf', () => {
    const listed = reconcile(take(none, [a.id], a.resource, 0), [a], 50_000, grace);
    assert.equal(reconcile(listed, [], 80_000, grace).size, 1);
    assert.equal(reconcile(listed, [], 80_001, grace).size, 0);
  });

  it('take over what kubelet lists and we did not know', () => {
    assert.equal(reconcile(none, [a], 0, grace).get(a.id)?.resource, 'x/direct');
  });

  it('follow a vf that kubelet lists under another name only when our own word is older than the grace', () => {
    const taken = take(none, [a.id], 'x/forwarder', 0);
    assert.equal(reconcile(taken, [a], 10, grace).get(a.id)?.resource, 'x/forwarder');
    assert.equal(reconcile(taken, [a], grace + 1, grace).get(a.id)?.resource, 'x/direct');
  });

  it('free nothing by a list that is not believed', () => {
    assert.equal(reconcile(take(none, [a.id], a.resource, 0), [], 1e12, Number.POSITIVE_INFINITY).size, 1);
  });

  it('are the same when the same names hold the same vfs, whenever they were seen', () => {
    assert.ok(sameHolders(take(none, [a.id], 'x', 0), take(none, [a.id], 'x', 9)));
    assert.ok(!sameHolders(take(none, [a.id], 'x', 0), take(none, [a.id], 'y', 0)));
    assert.ok(!sameHolders(none, take(none, [a.id], 'y', 0)));
  });

  it('say which vf kubelet lists under two names', () => {
    assert.deepEqual(heldTwice([a, { ...a, resource: 'b/two' }, { ...a, id: 'other' }, a]), [
      '0000:01:01.0 is in two hands: kubelet lists it as b/two and as x/direct',
    ]);
  });
});
