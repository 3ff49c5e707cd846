// Who holds a vf: the rules, on a clock of the test's own.
import { strict as assert } from 'node:assert';
import { type Holding, type Holdings, heldTwice, reconcile, sameHolders, take } from '../../../inventory/holdings.ts';

const grace = 30_000;
const a = { id: '0000:01:01.0', resource: 'x/direct' };
const none: Holdings = new Map();

describe('holdings', () => {
  it('keep an allocation that kubelet does not list yet, until the grace is over', () => {
    const before = taken(a.resource, 1000);
    assert.equal(reconcile(before, [], 1000 + grace, grace).size, 1);
    assert.equal(reconcile(before, [], 1001 + grace, grace).size, 0);
  });

  it('count the grace anew from each time that kubelet lists a vf', () => {
    const listed = reconcile(taken(a.resource, 0), [a], 50_000, grace);
    assert.equal(reconcile(listed, [], 80_000, grace).size, 1);
    assert.equal(reconcile(listed, [], 80_001, grace).size, 0);
  });

  it('take over what kubelet lists and we did not know', () => {
    assert.equal(reconcile(none, [a], 0, grace).get(a.id)?.resource, 'x/direct');
  });

  it('follow a vf that kubelet lists under another name only when our own word is older than the grace', () => {
    const before = taken('x/forwarder', 0);
    assert.equal(reconcile(before, [a], 10, grace).get(a.id)?.resource, 'x/forwarder');
    assert.equal(reconcile(before, [a], grace + 1, grace).get(a.id)?.resource, 'x/direct');
  });

  it('free nothing by a list that is not believed', () => {
    assert.equal(reconcile(taken(a.resource, 0), [], 1e12, Number.POSITIVE_INFINITY).size, 1);
  });

  it('are the same when the same names hold the same vfs, whenever they were seen', () => {
    assert.ok(sameHolders(taken('x', 0), taken('x', 9)));
    assert.ok(!sameHolders(taken('x', 0), taken('y', 0)));
    assert.ok(!sameHolders(none, taken('y', 0)));
  });

  it('change by an Allocate of a vf that was free, and not by one that had the same name already', () => {
    const holdings = new Map<string, Holding>();
    assert.equal(take(holdings, [a.id], 'x', 0), true);
    assert.equal(take(holdings, [a.id], 'x', 5), false);
    assert.deepEqual(holdings.get(a.id), { resource: 'x', seen: 5 });
  });

  it('say which vf kubelet lists under two names', () => {
    assert.deepEqual(heldTwice([a, { ...a, resource: 'b/two' }, { ...a, id: 'other' }, a]), [
      '0000:01:01.0 is in two hands: kubelet lists it as b/two and as x/direct',
    ]);
  });
});

function taken(resource: string, now: number): Holdings {
  const holdings = new Map<string, Holding>();
  take(holdings, [a.id], resource, now);
  return holdings;
}
