// Each reserved thing has one owner. The tests cover the generation and the late DEL.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asLastWork, findOwnership, owns, takeOwnership } from '../../../../cni/attachment/owner.ts';
import { parseSettings } from '../../../../cni/attachment/settings.ts';
import { Unavailable } from '../../../../host/base/errors.ts';
import { lockWithin, makeLock } from '../../../../host/base/lock.ts';
import { openLog } from '../../../../host/base/log.ts';
import type { Host } from '../../../../host/host.ts';

const address = '0000:41:10.0';

describe('the owner of a VF', () => {
  let stateDir: string;
  let context: Parameters<typeof takeOwnership>[0];
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'sn-owner-'));
    context = {
      settings: { ...parseSettings('', 'f'), nodeName: 'n', stateDir },
      lock: makeLock(),
      host: { log: openLog('silent') } as Host,
    };
  });
  afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

  const take = async (attachment: string, expected?: string) => await takeOwnership(context, address, { attachment, expected });
  const owned = (id: string, generation: number): Parameters<typeof owns>[1] => ({
    id,
    reserved: {
      ...{ kind: 'vf', id: address, pf: 'p', index: 0, driver: 'vfio-pci', settings: {} },
      ...{ before: { binding: {}, settings: {} }, generation },
    },
  });
  const last = async (id: string, generation: number) => {
    let worked = false;
    const outcome = await asLastWork(context, owned(id, generation), async () => {
      worked = true;
    });
    assert.equal(worked, outcome === 'done');
    return outcome;
  };

  it('is nobody at first, and every new one is counted', async () => {
    assert.deepEqual(findOwnership(context, address), { generation: 0 });
    assert.equal(await take('a'), 1);
    assert.deepEqual(findOwnership(context, address), { generation: 1, owner: 'a' });
    assert.equal(await last('a', 1), 'done');
    assert.deepEqual(findOwnership(context, address), { generation: 1 });
    assert.equal(await take('b'), 2);
  });

  it('is one: who expects nobody does not get a vf that is taken', async () => {
    assert.deepEqual(await Promise.all([take('a'), take('b'), take('c')]), [1, undefined, undefined]);
    assert.equal(await take('b', 'a'), 2);
  });

  it('alone does the last work on a VF: not one before it, and not itself of an earlier time', async () => {
    await take('a');
    await take('b', 'a');
    assert.deepEqual(await last('a', 1), { generation: 2, owner: 'b' });
    await take('a', 'b');
    assert.deepEqual(await last('a', 1), { generation: 3, owner: 'a' });
    assert.equal(await last('a', 3), 'done');
    assert.deepEqual(await last('a', 3), { generation: 3 }, 'and only once');
    assert.equal(owns(context, owned('a', 3)), false);
  });

  it('stays when the work fails', async () => {
    await take('a');
    await assert.rejects(
      asLastWork(context, owned('a', 1), () => Promise.reject(new Error('stuck'))),
      /stuck/,
    );
    assert.ok(owns(context, owned('a', 1)));
  });

  it('has done the last work also where that can not be noted: whoever comes next has to write there first', async () => {
    await take('a');
    // The draft's name is taken by a directory, so the write fails as it does on a full disk.
    mkdirSync(join(stateDir, 'owners', `.${address}.json.new`));
    assert.equal(await last('a', 1), 'done');
    assert.deepEqual(findOwnership(context, address), { generation: 1, owner: 'a' });
    await assert.rejects(take('b', 'a'), /can't be written: EISDIR.*; is there room on its disk/);
    assert.ok(owns(context, owned('a', 1)), 'nobody else has it meanwhile');
    rmdirSync(join(stateDir, 'owners', `.${address}.json.new`));
    assert.equal(await take('b', 'a'), 2);
    assert.deepEqual(await last('a', 1), { generation: 2, owner: 'b' });
  });

  it('is not needed where nothing is reserved', async () => {
    assert.ok(owns(context, { id: 'a' }));
    assert.equal(await asLastWork(context, { id: 'a' }, async () => {}), 'done');
    assert.deepEqual(readdirSync(stateDir), []);
  });

  it('is not known when the file is not understood: nobody gets it, nothing is done to it, and the file stays', async () => {
    const path = join(stateDir, 'owners', `${address}.json`);
    await take('a');
    for (const text of ['{"gener', '', '[]', '{"generation":"1"}', '{"generation":1,"owner":"a","shared":true}']) {
      writeFileSync(path, text);
      const unknown = {
        name: 'Unavailable',
        message: /0000:41:10\.0\.json, which says whose .* is not understood and is left alone/,
      };
      assert.throws(() => owns(context, owned('a', 1)), unknown);
      await assert.rejects(take('b', 'a'), unknown);
      await assert.rejects(take('b'), unknown);
      await assert.rejects(last('a', 1), unknown);
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });
});

describe('a lock that is waited for within a time', () => {
  it('gives the work its turn, and what it returns or throws', async () => {
    const lock = makeLock();
    const waiting = { key: 'a', what: 'a', patience: 1000 };
    assert.equal(await lockWithin(lock, waiting, async () => 5), 5);
    await assert.rejects(
      lockWithin(lock, waiting, () => Promise.reject(new Error('no'))),
      /^Error: no$/,
    );
  });

  it('is given up in the end, and then the work never runs', async () => {
    const lock = makeLock();
    const { promise, resolve } = Promise.withResolvers<void>();
    const busy = lock('a', () => promise);
    let ran = false;
    const late = lockWithin(lock, { key: 'a', what: 'the tea', patience: 50 }, async () => {
      ran = true;
    });
    await assert.rejects(
      late,
      (error) => error instanceof Unavailable && error.message === 'the tea: still under way after 0.05 s',
    );
    resolve();
    await busy;
    await lock('a', async () => {});
    assert.equal(ran, false);
  });
});
