// The rules of who holds a VF, on a clock of the test's own.
import { strict as assert } from 'node:assert';
import {
  type Answer,
  allInHand,
  type Held,
  type Holding,
  type Holdings,
  heldTwice,
  reconcile,
  sameHolders,
  take,
} from '../../../inventory/holdings.ts';

const patience = { naming: 5000, grace: 30_000 };
const a = { id: '0000:01:01.0', resource: 'x/direct' };
const none: Holdings = new Map();

/** A complete answer that came at once. */
function answered(holdings: Holdings, now: number, held: readonly Held[], more: Partial<Answer> = {}): Holdings {
  return reconcile(holdings, { held, complete: true, asked: now, now, ...more }, patience);
}

/** `held`, `came back` (kept from the other names only) or `free`. */
function state(holdings: Holdings): string {
  if (!holdings.has(a.id)) return 'free';
  return allInHand(holdings).has(a.id) ? 'held' : 'came back';
}

describe('holdings', () => {
  it('keep an allocation that kubelet does not name yet', () => {
    const before = taken(a.resource, 1000);
    assert.equal(state(answered(before, 5999, [])), 'held');
    assert.equal(state(answered(before, 9000, [], { asked: 5999 })), 'held');
    assert.equal(state(answered(before, 6000, [])), 'came back');
  });

  it('are in no hand as soon as kubelet names them no longer, and are kept from other names for the grace', () => {
    const named = answered(taken(a.resource, 0), 100, [a]);
    const back = answered(named, 200, []);
    assert.equal(state(back), 'came back');
    assert.equal(state(answered(back, 30_199, [])), 'came back');
    assert.equal(state(answered(back, 30_200, [])), 'free');
  });

  it('count the grace from the first answer that lacks a vf, however long there was none before', () => {
    const named = answered(taken(a.resource, 0), 100, [a]);
    assert.equal(state(answered(named, 1e9, [])), 'came back');
  });

  it('are held again when kubelet names them again, or gives them out again', () => {
    const back = answered(answered(none, 100, [a]), 200, []);
    assert.equal(state(answered(back, 300, [a])), 'held');
    const again = new Map(back);
    assert.equal(take(again, [a.id], a.resource, 300), true);
    assert.equal(state(again), 'held');
    assert.equal(state(answered(again, 400, [])), 'held');
  });

  it('take over what kubelet names and we did not know', () => {
    assert.equal(answered(none, 0, [a]).get(a.id)?.resource, 'x/direct');
  });

  it('follow a vf that kubelet names under another name only, but for one that was given out just now', () => {
    const before = taken('x/forwarder', 0);
    assert.equal(answered(before, 4999, [a]).get(a.id)?.resource, 'x/forwarder');
    assert.equal(answered(before, 5000, [a]).get(a.id)?.resource, 'x/direct');
  });

  it('free nothing by an answer that is not complete', () => {
    const named = answered(none, 100, [a]);
    assert.equal(state(answered(named, 1e12, [], { complete: false })), 'held');
    const back = answered(named, 200, []);
    assert.equal(state(answered(back, 1e12, [], { complete: false })), 'came back');
  });

  it('are the same when the same names hold the same vfs, whenever they were seen', () => {
    assert.ok(sameHolders(taken('x', 0), taken('x', 9)));
    assert.ok(!sameHolders(taken('x', 0), taken('y', 0)));
    assert.ok(!sameHolders(none, taken('y', 0)));
    const named = answered(none, 0, [a]);
    assert.ok(!sameHolders(named, answered(named, 1, [])));
  });

  it('change by an Allocate of a vf that was free, and not by one that had the same name already', () => {
    const holdings = new Map<string, Holding>();
    assert.equal(take(holdings, [a.id], 'x', 0), true);
    assert.equal(take(holdings, [a.id], 'x', 5), false);
    assert.deepEqual(holdings.get(a.id), { resource: 'x', since: 5, named: false });
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
