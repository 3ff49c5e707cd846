import { deepEqual, equal, ok } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Changes, followInventory, type Inventory } from '../../../inventory/machine.ts';
import { igb } from '../../support/nic-trees.ts';
import { answering, makeTree, type Tree } from '../../support/sysfs-tree.ts';

const pf = igb({ vfs: 2 });
const [first, second] = pf.vfs ?? [];

describe('the inventory', () => {
  let tree: Tree;
  let inventory: Inventory;
  let ring: () => void;
  let seen: Changes[];
  let answers: () => ReturnType<ReturnType<typeof answering>>;

  /** An event whenever `ring` is called. */
  async function* events(signal: AbortSignal): AsyncGenerator<string> {
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        ring = resolve;
        signal.addEventListener('abort', () => resolve());
      });
      yield 'event';
    }
  }

  beforeEach(async () => {
    tree = makeTree(pf);
    seen = [];
    answers = () => answering()([], []);
    inventory = followInventory({
      host: tree.host,
      ask: () => answers(),
      allocated: () => new Set(),
      events: [events],
      settle: 20,
      tick: 60_000,
      seen: (_, changes) => seen.push(changes),
    });
    await inventory.look();
  });

  afterEach(async () => {
    await inventory.stop();
    tree[Symbol.dispose]();
  });

  /** Waits for the next look and says what it saw. */
  async function next(): Promise<string> {
    const count = seen.length;
    for (const end = performance.now() + 5000; seen.length === count; await sleep(2))
      ok(performance.now() < end, 'no look within 5 s');
    const last = seen.at(-1);
    const names = (vfs: readonly { readonly address: string }[] = []) => vfs.map(({ address }) => address.slice(8)).join(',');
    return `+${names(last?.added)} -${names(last?.removed)} ~${names(last?.changed.map(({ after }) => after))}`;
  }

  it('sees everything as added at its first look', () =>
    deepEqual(
      seen.map(({ added }) => added.length),
      [2],
    ));

  it('sees a vf removed, added and rebound, each after one event', async () => {
    if (first === undefined || second === undefined) throw new Error('the tree has two vfs');
    tree.removeVf(pf, second);
    ring();
    equal(await next(), '+ -10.2 ~');
    tree.addVf(pf, second);
    ring();
    equal(await next(), '+10.2 - ~');
    tree.bind(first, 'vfio-pci');
    ring();
    equal(await next(), '+ - ~10.0');
  });

  it('sees a pf that goes away with all its vfs', async () => {
    tree.removePf(pf);
    ring();
    equal(await next(), '+ -10.0,10.2 ~');
    deepEqual(inventory.nics, { pfs: [], vfs: [], unread: [] });
  });

  it('looks once for a burst of events', async () => {
    for (let count = 0; count < 100; count += 1) {
      ring();
      await Promise.resolve();
    }
    equal(await next(), '+ - ~');
    await sleep(60);
    equal(seen.length, 2);
  });

  it('sees what no event told of at its slow tick', async () => {
    const changes: Changes[] = [];
    const slow = followInventory({
      ...{ host: tree.host, ask: answering(), allocated: () => new Set<string>(), events: [], tick: 100 },
      seen: (_, change) => changes.push(change),
    });
    await slow.look();
    if (second !== undefined) tree.removeVf(pf, second);
    for (const end = performance.now() + 5000; changes.every(({ removed }) => removed.length === 0); await sleep(5))
      ok(performance.now() < end, 'not seen within 5 s');
    await slow.stop();
  });

  it('looks again when asked while it looks', async () => {
    await Promise.all([inventory.look(), inventory.look(), inventory.look()]);
    equal(inventory.looks, 3);
  });

  it('keeps the last list and says why when a look fails, and recovers', async () => {
    answers = () => Promise.reject(new Error('list devlink ports: EPERM'));
    await inventory.look();
    equal(inventory.problem, 'list devlink ports: EPERM');
    equal(inventory.nics?.vfs.length, 2);
    answers = () => answering()([], []);
    await inventory.look();
    equal(inventory.problem, undefined);
  });
});
