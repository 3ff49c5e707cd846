// The server's socket with a made-up answer. Callers go away, shut their own half, or read nothing, and the server stops with all of them
// connected.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../../../cni/cni.ts';
import { encodeRequest } from '../../../../cni/server/frame.ts';
import { type Server, serve } from '../../../../cni/server/socket.ts';
import { openLog } from '../../../../host/base/log.ts';
import { until } from '../../../support/until.ts';

const done: Answer = { exit: 0, stdout: '{}', stderr: '' };

describe("the server's socket", () => {
  let directory: string;
  let server: Server;
  let signals: AbortSignal[];
  /** Ends the work on a request. */
  let finish: (answer: Answer) => void;
  const callers: Socket[] = [];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sn-socket-'));
    signals = [];
    server = await serve({
      path: join(directory, 'private/cni.sock'),
      log: openLog('silent'),
      answer: async (_, signal) => {
        signals.push(signal);
        const { promise, resolve } = Promise.withResolvers<Answer>();
        finish = resolve;
        signal.addEventListener('abort', () => resolve({ ...done, stderr: 'cut short' }));
        return await promise;
      },
    });
  });
  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.destroy();
    await server.close(0);
    rmSync(directory, { recursive: true });
  });

  const asked = async (): Promise<Socket> => {
    const caller = createConnection({ path: join(directory, 'private/cni.sock'), allowHalfOpen: true });
    callers.push(caller);
    const before = signals.length;
    caller.write(encodeRequest({ env: { CNI_COMMAND: 'ADD' }, stdin: '{}' }));
    await until(async () => signals.length > before, 'the work begins');
    return caller;
  };
  const stopsWithin = async (ms: number, patience = 60_000) => {
    const stopped = server.close(patience).then(() => true);
    assert.ok(await Promise.race([stopped, sleep(ms, false, { ref: false })]), `the stop took more than ${ms} ms`);
  };

  it('says at once that it took the request, and then what became of it', async () => {
    const caller = await asked();
    const [first] = (await caller.take(1).toArray()) as Buffer[];
    assert.match(String(first), /^\+/);
    finish(done);
    callers.push(await asked());
    finish(done);
    assert.equal(await text(callers.at(-1) as Socket), '+\n0 2 0\n{}');
  });

  it('tells the work when its caller is gone, and then ends the conversation', async () => {
    const caller = await asked();
    caller.destroy();
    await until(async () => signals[0]?.aborted === true, 'the work is told');
    assert.match(String(signals[0]?.reason), /the runtime gave up/);
    await stopsWithin(1000);
  });

  it('answers a caller that shut its own half and waits', async () => {
    const caller = await asked();
    caller.end();
    await sleep(100);
    assert.equal(signals[0]?.aborted, false);
    finish(done);
    assert.equal(await text(caller), '+\n0 2 0\n{}');
    await stopsWithin(1000);
  });

  it('goes on with what its caller does not want any more, where the work does not care', async () => {
    await server.close(0);
    let worked = false;
    const path = join(directory, 'private/cni.sock');
    const work = async () => {
      await sleep(300);
      worked = true;
      return done;
    };
    server = await serve({ path, log: openLog('silent'), answer: work });
    const caller = createConnection(path);
    caller.write(encodeRequest({ env: { CNI_COMMAND: 'DEL' }, stdin: '{}' }));
    await sleep(100);
    caller.destroy();
    await stopsWithin(1000);
    assert.ok(worked);
  });

  it('waits for what runs when it stops, and cuts it short after a while', async () => {
    const caller = await asked();
    await stopsWithin(1000, 200);
    assert.equal(await text(caller), '+\n0 2 9\n{}cut short');
  });

  it('passes over what a caller says behind its request', async () => {
    const caller = await asked();
    await new Promise((resolve) => caller.write(Buffer.alloc(10 << 20), resolve));
    finish(done);
    assert.equal(await text(caller), '+\n0 2 0\n{}');
  });

  it('is not kept from stopping by callers that say nothing, or read nothing', async () => {
    const path = join(directory, 'private/cni.sock');
    callers.push(createConnection(path));
    const caller = await asked();
    caller.pause();
    finish(done);
    await stopsWithin(1000);
  });
});
