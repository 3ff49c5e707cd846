import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../../../../host/base/errors.ts';
import { openLog } from '../../../../host/base/log.ts';
import type { Operation } from '../../../../host/ovs/ovsdb/operations.ts';
import { type OvsdbOptions, openOvsdb } from '../../../../host/ovs/ovsdb.ts';
import { run } from '../../../../host/program/run.ts';
import { type FakeOvsdb, startFakeOvsdb } from '../../../support/fake-ovsdb.ts';

const log = openLog('silent');
const open = (address: string, options: Partial<OvsdbOptions> = {}) => openOvsdb(address, { log, patience: 500, ...options });
const comment = (text: string): readonly Operation[] => [{ op: 'comment', comment: text }];
const sentBy = ({ seen }: FakeOvsdb, method: string) => seen.filter((message) => message.method === method);
const update = (updates: unknown) => ({ method: 'update2', params: ['replica', updates], id: null });
const unavailable =
  (...words: readonly RegExp[]) =>
  (error: unknown) => {
    assert.ok(error instanceof Unavailable, String(error));
    for (const word of words) assert.match(error.message, word);
    return true;
  };

describe('the connection to OVSDB', () => {
  it('is not made before it is needed, and then once for all calls', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address);
    await sleep(50);
    assert.equal(server.peers.length, 0);
    await Promise.all([db.replica(), db.transact(comment('a')), db.transact(comment('b'))]);
    assert.equal(server.peers.length, 1);
    assert.equal(sentBy(server, 'monitor_cond').length, 1);
  });

  it('asks for the columns of four tables and nothing else', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address);
    await db.replica();
    const [database, , requests] = sentBy(server, 'monitor_cond')[0]?.params ?? [];
    assert.equal(database, 'Open_vSwitch');
    assert.deepEqual(requests, {
      Open_vSwitch: [{ columns: ['bridges', 'next_cfg', 'cur_cfg', 'dpdk_initialized'] }],
      Bridge: [{ columns: ['name', 'datapath_type', 'ports'] }],
      Port: [{ columns: ['name', 'interfaces', 'tag', 'trunks', 'vlan_mode'] }],
      Interface: [{ columns: ['name', 'type', 'options', 'external_ids', 'ofport', 'error', 'status', 'mtu', 'mtu_request'] }],
    });
  });

  it('asks for no interface of others, where it has an owner, but for those that Open vSwitch makes', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address, { owner: 'smartnic.io' });
    await db.replica();
    const [, , requests] = sentBy(server, 'monitor_cond')[0]?.params ?? [];
    assert.partialDeepStrictEqual(requests, {
      Interface: [
        {
          where: [
            ['external_ids', 'includes', ['map', [['owner', 'smartnic.io']]]],
            ['type', '==', 'internal'],
            ['type', '==', 'dpdkvhostuserclient'],
          ],
        },
      ],
    });
    assert.doesNotMatch(JSON.stringify(Object.entries(requests ?? {}).filter(([table]) => table !== 'Interface')), /where/);
  });

  it('carries any number of transactions at once, and each gets its own answer in whatever order they come', async () => {
    const held: { readonly id: unknown; readonly comment: unknown }[] = [];
    await using server = await startFakeOvsdb(({ method, params = [], id }, peer) => {
      if (method !== 'transact') return false;
      held.push({ id, comment: params[1] });
      if (held.length === 50)
        for (const each of held.toReversed()) peer.send({ id: each.id, result: [each.comment], error: null });
      return true;
    });
    await using db = open(server.address);
    const asked = Array.from({ length: 50 }, (_, index) => comment(`number ${index}`));
    assert.deepEqual(await Promise.all(asked.map((each) => db.transact(each))), asked);
  });

  it("answers the server's echo with what it said", async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address);
    await db.replica();
    server.peers[0]?.send({ method: 'echo', params: ['x', 1], id: 'echo' });
    await eventually(() => server.seen.some(({ id, result }) => id === 'echo' && JSON.stringify(result) === '["x",1]'));
  });

  it('stays through a long silence of a server that answers our echo', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address, { probe: 60 });
    await db.replica();
    await sleep(400);
    assert.ok(sentBy(server, 'echo').length >= 2, 'no echo was sent');
    assert.equal(server.peers.length, 1);
  });

  it('gives up a server that is silent, failing what is in flight, and connects anew', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address, { probe: 60 });
    await db.replica();
    server.script = ({ method }) => method === 'echo' || method === 'transact';
    await assert.rejects(
      db.transact(comment('a')),
      unavailable(/said nothing for \d+ ms/, new RegExp(server.address), /is ovsdb-server running/),
    );
    server.script = () => false;
    await db.replica();
    assert.equal(server.peers.length, 2);
  });

  it('outlasts a pause of our own process', async () => {
    await using server = await startFakeOvsdb();
    // Long enough that a busy machine keeps the server, which is in this process, from answering for as long.
    await using db = open(server.address, { probe: 1000 });
    await db.replica();
    const until = performance.now() + 2500;
    while (performance.now() < until);
    await sleep(100);
    await db.transact(comment('a'));
    assert.equal(server.peers.length, 1);
  });

  it('gives up a server that accepts but never sends the replica', async () => {
    await using server = await startFakeOvsdb(({ method }) => method !== undefined);
    await using db = open(server.address, { probe: 60, patience: 400 });
    await assert.rejects(db.replica(), unavailable(/said nothing/));
    assert.ok(server.peers.length >= 2, 'it did not try again');
  });
});

describe('an OVSDB that takes its time', () => {
  const commented = (text: string): readonly Operation[] => [
    { op: 'select', table: 'Bridge', where: [], columns: [] },
    { op: 'comment', comment: text },
  ];

  it('ends a transaction that it leaves unanswered, though it answers our echo, with what to look at', async () => {
    await using server = await startFakeOvsdb(({ method }) => method === 'transact');
    await using db = open(server.address, { deadline: 150, probe: 60 });
    const began = performance.now();
    await assert.rejects(
      db.transact(commented('smartnic: add port p to br0')),
      unavailable(
        new RegExp(server.address),
        /not answered within 150 ms: smartnic: add port p to br0;/,
        /may or may not have done it/,
        /memory\/show/,
      ),
    );
    assert.ok(performance.now() - began < 1000);
    await assert.rejects(
      db.transact([{ op: 'select', table: 'Bridge', where: [], columns: [] }]),
      unavailable(/: select Bridge;/),
    );
    assert.equal(server.peers.length, 1, 'the connection was given up as well');
  });

  it('does not take the late answer for that of the next transaction', async () => {
    const held: unknown[] = [];
    await using server = await startFakeOvsdb(({ method, id }, peer) => {
      if (method !== 'transact') return false;
      held.push(id);
      for (const each of held.length === 2 ? held : []) peer.send({ id: each, result: [{ answers: each }], error: null });
      return true;
    });
    await using db = open(server.address, { deadline: 100 });
    await assert.rejects(db.transact(comment('a')), Unavailable);
    assert.deepEqual(await db.transact(comment('b')), [{ answers: held[1] }]);
  });

  it('is asked anew for the copy of its tables when it leaves that unanswered', async () => {
    await using server = await startFakeOvsdb(({ method }) => method === 'monitor_cond');
    await using db = open(server.address, { deadline: 100, probe: 60 });
    await assert.rejects(db.replica(), unavailable(/not answered within 100 ms: the copy of its tables/));
    server.script = () => false;
    await db.replica();
  });

  it('keeps one answer from ending the process: what is too large for the heap that we ship with is refused', async () => {
    const row = JSON.stringify({ initial: { name: 'p', external_ids: ['map', [['owner', 'x'.repeat(400)]]] } });
    const rows = Array.from({ length: 27_000 }, (_, index) => `"${index}":${row}`).join(',');
    await using server = await startFakeOvsdb(({ method, id }, peer) => {
      if (method === 'monitor_cond') peer.write(`{"id":${id},"error":null,"result":{"Interface":{${rows}}}}`);
      return method === 'monitor_cond';
    });
    const source = new URL('../../../../host/ovs/ovsdb.ts', import.meta.url);
    const script =
      `const { openOvsdb } = await import('${source}'); const log = { debug() {}, info() {}, warn() {} };` +
      `console.log(await openOvsdb('${server.address}', { log }).replica().catch((error) => error.message)); process.exit(0)`;
    const heap = ['--max-semi-space-size=1', '--max-old-space-size=64'];
    const { stdout, stderr, exitCode } = await run(process.execPath, [...heap, '--input-type=module', '--eval', script]);
    assert.equal(exitCode, 0, stderr.slice(0, 300));
    assert.match(stdout, /a message of more than 4194304 bytes, which is more than we have memory for/);
  });
});

describe('a broken stream of OVSDB', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['garbage', 'HTTP/1.1 400 Bad Request\r\n', /does not speak JSON-RPC: "HTTP/],
    ['an object that is no JSON', '{"id":1,"result":oops}', /not JSON: \{"id":1/],
    ['a message above the limit', `{"id":1,"result":"${'x'.repeat(3000)}"}`, /more than 2000 bytes/],
    ['an update that is none', JSON.stringify(update({ Port: { u: { insert: { tag: 'x' } } } })), /Port\.tag that is no integer/],
    ['a cancelled monitor', '{"method":"monitor_canceled","params":["replica"],"id":null}', /cancelled the monitor/],
  ];
  for (const [what, bytes, words] of cases) {
    it(`ends with ${what}; what is in flight says so, and the next call has a new connection`, async () => {
      await using server = await startFakeOvsdb(({ method }, peer) => {
        if (method === 'transact' && server.peers.length === 1) peer.write(bytes);
        return method === 'transact' && server.peers.length === 1;
      });
      await using db = open(server.address, { limit: 2000 });
      await assert.rejects(db.transact(comment('a')), unavailable(words, new RegExp(server.address)));
      await db.transact(comment('b'));
      assert.equal(server.peers.length, 2);
    });
  }

  it('in the middle of a reply is no reply', async () => {
    await using server = await startFakeOvsdb(({ method, id }, peer) => {
      if (method !== 'transact') return false;
      peer.write(`{"id":${id},"result":[{`);
      setTimeout(() => peer.hangUp(), 20);
      return true;
    });
    await using db = open(server.address);
    await assert.rejects(db.transact(comment('a')), unavailable(/closed the connection/));
  });

  it('in pieces is a reply all the same', async () => {
    await using server = await startFakeOvsdb(({ method, id }, peer) => {
      if (method !== 'transact') return false;
      const bytes = Buffer.from(JSON.stringify({ id, result: [{ text: 'ü🙂' }], error: null }));
      for (const [index, byte] of bytes.entries()) setTimeout(() => peer.write(Buffer.of(byte)), index);
      return true;
    });
    await using db = open(server.address);
    assert.deepEqual(await db.transact(comment('a')), [{ text: 'ü🙂' }]);
  });
});

describe('OVSDB while it is away', () => {
  it('fails a call after the bounded time, saying where, what the machine said and what to do', async () => {
    await using server = await startFakeOvsdb();
    await server.down();
    await using db = open(server.address, { patience: 150 });
    const started = performance.now();
    await assert.rejects(
      db.transact(comment('a')),
      unavailable(/connect ENOENT/, new RegExp(server.address), /directory of its socket mounted/),
    );
    const took = performance.now() - started;
    assert.ok(took >= 140 && took < 1000, `${took} ms`);
  });

  it('lets a call through that came before the server did', async () => {
    await using server = await startFakeOvsdb();
    await server.down();
    await using db = open(server.address, { patience: 3000 });
    const call = db.transact(comment('a'));
    await sleep(150);
    await server.up();
    assert.deepEqual(await call, [{}]);
  });

  it('fails every call in flight at once, and never sends one a second time', async () => {
    await using server = await startFakeOvsdb(({ method }) => method === 'transact');
    await using db = open(server.address);
    await db.replica();
    const calls = Array.from({ length: 20 }, () => db.transact(comment('a')));
    await eventually(() => sentBy(server, 'transact').length === 20);
    server.peers[0]?.hangUp();
    for (const call of await Promise.allSettled(calls))
      assert.ok(call.status === 'rejected' && unavailable(/closed/)(call.reason));
    await db.replica();
    assert.equal(sentBy(server, 'transact').length, 20);
  });

  it('is looked for at once by a new call, however long the pause between attempts has become', async () => {
    await using server = await startFakeOvsdb();
    await server.down();
    await using db = open(server.address, { patience: 50 });
    await assert.rejects(db.replica(), Unavailable);
    await sleep(1000);
    await server.up();
    const again = openedWithin(db.until(() => true, { timeout: 400, what: 'a connection' }));
    assert.ok((await again) < 300);
  });

  it('gives a new replica when it comes back, and tells those who want to know, each time', async () => {
    await using server = await startFakeOvsdb(({ method, id }, peer) => {
      const name = `br${server.peers.length}`;
      if (method === 'monitor_cond') peer.send({ id, result: { Bridge: { u: { initial: { name } } } }, error: null });
      return method === 'monitor_cond';
    });
    await using db = open(server.address);
    let times = 0;
    const forget = db.onConnect(() => {
      times++;
    });
    assert.equal((await db.replica()).bridge('br1')?.name, 'br1');
    await eventually(() => times === 1);
    server.peers[0]?.hangUp();
    assert.equal(await db.until((replica) => replica.bridge('br2')?.name, { timeout: 1000, what: 'br2' }), 'br2');
    assert.equal((await db.replica()).bridge('br1'), undefined);
    await eventually(() => times === 2);
    forget();
    server.peers[1]?.hangUp();
    await db.until((replica) => replica.bridge('br3'), { timeout: 1000, what: 'br3' });
    await sleep(20);
    assert.equal(times, 2);
  });

  it('fails what waits when it is closed, and every call after that', async () => {
    await using server = await startFakeOvsdb(({ method }) => method === 'transact');
    const db = open(server.address);
    await db.replica();
    const waiting = [db.transact(comment('a')), db.until(() => undefined, { timeout: 5000, what: 'nothing' })];
    const outcomes = Promise.allSettled(waiting);
    await db[Symbol.asyncDispose]();
    for (const outcome of await outcomes) assert.ok(outcome.status === 'rejected' && unavailable(/closed/)(outcome.reason));
    await assert.rejects(db.replica(), unavailable(/closed by us/));
    await sleep(150);
    assert.equal(server.peers.length, 1);
  });
});

describe('waiting for something in the replica', () => {
  it('ends with the change, even one that stands right behind the first copy', async () => {
    await using server = await startFakeOvsdb(({ method, id }, peer) => {
      if (method !== 'monitor_cond') return false;
      const copy = { id, result: { Interface: { u: { initial: { name: 'p' } } } }, error: null };
      peer.write(JSON.stringify(copy) + JSON.stringify(update({ Interface: { u: { modify: { ofport: 3 } } } })));
      return true;
    });
    await using db = open(server.address);
    assert.equal(await db.until((replica) => replica.interface('p')?.ofport, { timeout: 300, what: 'ofport' }), 3);
    setTimeout(() => server.peers[0]?.send(update({ Interface: { u: { modify: { error: 'no' } } } })), 20);
    assert.equal(await db.until((replica) => replica.interface('p')?.error, { timeout: 300, what: 'error' }), 'no');
  });

  it('ends with what the look throws', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address);
    const look = () => {
      throw new Error('gone');
    };
    await assert.rejects(db.until(look, { timeout: 300, what: 'x' }), { message: 'gone' });
  });

  it('ends when its time is over, saying what was waited for', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address);
    await assert.rejects(
      db.until(() => undefined, { timeout: 100, what: 'ofport of p' }),
      unavailable(/ofport of p: not within 100 ms/),
    );
    await server.down();
    await assert.rejects(
      db.until(() => undefined, { timeout: 100, what: 'ofport of p' }),
      unavailable(/connect ENOENT|closed the connection/),
    );
  });

  it('looks once for all the changes that arrive together', async () => {
    await using server = await startFakeOvsdb();
    await using db = open(server.address);
    await db.replica();
    let looks = 0;
    const done = db.until(
      (replica) => {
        looks++;
        return replica.port('p99');
      },
      { timeout: 1000, what: 'p99' },
    );
    const updates = Array.from({ length: 100 }, (_, index) =>
      update({ Port: { [`u${index}`]: { insert: { name: `p${index}` } } } }),
    );
    server.peers[0]?.write(updates.map((each) => JSON.stringify(each)).join(''));
    await done;
    assert.ok(looks <= 5, `${looks} looks`);
  });
});

async function eventually(holds: () => boolean): Promise<void> {
  for (let waited = 0; waited < 2000; waited += 5) {
    if (holds()) return;
    await sleep(5);
  }
  assert.fail(`not within two seconds: ${holds}`);
}

async function openedWithin(promise: Promise<unknown>): Promise<number> {
  const started = performance.now();
  await promise;
  return performance.now() - started;
}
