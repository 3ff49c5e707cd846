// Entering network namespaces on the real kernel: it enters the right one, always comes back, and refuses what is not a namespace.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inNetns, openNetns, ownNetns, sameNetns } from '../../host/kernel/netns.ts';
import { run } from '../../tools/program.ts';
import { makeNetns } from '../support/netns.ts';

describe('network namespaces', () => {
  const here = () => readlinkSync('/proc/thread-self/ns/net');
  const home = here();
  afterEach(() => assert.equal(here(), home, 'the main thread left its namespace'));

  it('are told apart by what they are, not by their path', async () => {
    await using made = await makeNetns();
    using first = openNetns(made.path);
    using again = openNetns(`/run/netns/../netns/${made.name}`);
    using own = ownNetns();
    assert.equal(sameNetns(first, again), true);
    assert.equal(sameNetns(first, own), false);
  });

  it('have the thread inside for the length of a function, and give its result', async () => {
    await using made = await makeNetns();
    using netns = openNetns(made.path);
    assert.equal(inNetns(netns, here), `net:[${netns.ino}]`);
    assert.notEqual(`net:[${netns.ino}]`, home);
  });

  it('are left again when the function throws, and its error comes through', async () => {
    await using made = await makeNetns();
    using netns = openNetns(made.path);
    const error = new Error('from inside');
    assert.throws(() => inNetns(netns, () => { throw error; }), error); // biome-ignore format: one thought
  });

  it('have their own /proc/sys/net, which a function inside writes', async () => {
    await using made = await makeNetns();
    using netns = openNetns(made.path);
    const file = '/proc/sys/net/ipv4/conf/lo/rp_filter';
    const outside = readFileSync(file, 'utf8');
    const before = inNetns(netns, () => readFileSync(file, 'utf8'));
    const wanted = before.trim() === '2' ? '1' : '2';
    inNetns(netns, () => writeFileSync(file, wanted));
    const { stdout } = await run('ip', ['netns', 'exec', made.name, 'cat', file]);
    assert.equal(stdout, wanted);
    assert.equal(readFileSync(file, 'utf8'), outside);
  });

  it('refuse a function that gives a promise', async () => {
    await using made = await makeNetns();
    using netns = openNetns(made.path);
    let ran = false;
    const asynchronous = async () => {
      ran = true;
    };
    // @ts-expect-error a function that returns a promise is no argument
    assert.throws(() => inNetns(netns, asynchronous), /only a synchronous function may run in the network namespace/);
    assert.equal(ran, false, 'an async function does not even begin');
    // @ts-expect-error nor is one that only passes it on
    assert.throws(() => inNetns(netns, () => Promise.resolve(1)), /only a synchronous function/);
  });

  it('stay open when their name is removed', async () => {
    await using made = await makeNetns();
    using netns = openNetns(made.path);
    await made[Symbol.asyncDispose]();
    assert.equal(inNetns(netns, here), `net:[${netns.ino}]`);
  });

  it('abort the process, with a last word, when the thread cannot come back', async () => {
    await using made = await makeNetns();
    const script = `
      import { inNetns, openNetns } from ${JSON.stringify(import.meta.resolve('../../host/kernel/netns.ts'))};
      inNetns(openNetns(${JSON.stringify(made.path)}), () => process.setuid(65534));
      console.log('went on');`;
    const dying = ['-c', 'ulimit -c 0; exec "$0" --input-type=module --eval "$1"', process.execPath, script];
    const died = await run('sh', dying, { reject: false });
    assert.equal(died.signal ?? died.exitCode, 'SIGABRT');
    assert.equal(died.stdout, '');
    assert.match(died.stderr, /cannot return from the network namespace .*, aborting: setns: EPERM/);
  });

  it('that are not there say so, with the code ENOENT', () => {
    assert.throws(() => openNetns('/run/netns/sn-none'), {
      code: 'ENOENT',
      message: 'open the network namespace /run/netns/sn-none: there is none',
    });
  });

  it('whose mount is gone are recognised as ordinary files', () => {
    const directory = mkdtempSync(join(tmpdir(), 'netns-'));
    try {
      writeFileSync(join(directory, 'stale'), '');
      assert.throws(
        () => openNetns(join(directory, 'stale')),
        /stale is not a network namespace but an ordinary file: its mount is gone/,
      );
      assert.throws(() => openNetns(directory), /is not a network namespace/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('are not mount namespaces', () => {
    assert.throws(() => openNetns('/proc/self/ns/mnt'), /\/proc\/self\/ns\/mnt is a namespace, but not a network namespace/);
  });
});
