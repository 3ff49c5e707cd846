// How long the shim waits for a server that is away, restarting, dying or stuck, and when it asks again.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon } from '../../../support/daemon.ts';
import { answer, describeShim, type Ended, serve, start } from '../../../support/shim.ts';
import { until } from '../../../support/until.ts';

describeShim('the wait of the shim', (shim) => {
  let directory: string;
  let socket: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'smartnic-'));
    socket = join(directory, 'cni.sock');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const done = (connection: Socket) => connection.end(answer('done'));
  const failsWith11 = (ended: Ended, message: RegExp) => {
    const error = JSON.parse(ended.stdout.toString());
    assert.deepEqual([ended.exit, error.code, ended.stderr], [1, 11, '']);
    assert.match(error.msg, message);
    return error;
  };

  it('ends with an error that says what was tried, for how long and what to do', async () => {
    const ended = await start(shim.path, { command: 'ADD', socket, env: { CNI_IFNAME: 'net1' }, input: '{"serverWait":0.6}' })
      .ended;
    const error = failsWith11(
      ended,
      /no server at .*cni\.sock carried out ADD net1: tried \d+ times in [6-9]\d\d ms, .*No such file/,
    );
    assert.match(error.details, /kubectl -n kube-system get pods -l app=smartnic -o wide/);
    assert.ok(ended.ms >= 600 && ended.ms < 2000, `${ended.ms} ms`);
    const [, tries] = /tried (\d+) times/.exec(error.msg) ?? [];
    assert.ok(Number(tries) >= 13 && Number(tries) <= 19, `tried ${tries} times in 600 ms`);
  });

  it('is long enough for a server that appears after 300 ms', async () => {
    const { ended } = start(shim.path, { command: 'ADD', socket });
    await sleep(300);
    await using _server = await serve(socket, done);
    assert.equal((await ended).stdout.toString(), 'done');
  });

  it('goes on over a socket that a dead server left behind', async () => {
    const dead = startDaemon(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(socket)})`], {});
    while (await refused(socket)) await sleep(10);
    dead.signal('SIGKILL');
    await dead.stop();
    failsWith11(await start(shim.path, { command: 'ADD', socket, input: '{"serverWait":0}' }).ended, /tried 1 times .*refused/);
    const { ended } = start(shim.path, { command: 'ADD', socket });
    await sleep(50);
    rmSync(socket);
    await using _server = await serve(socket, done);
    assert.equal((await ended).stdout.toString(), 'done');
  });

  it('goes on while the queue of the server is full', async () => {
    const program = `require('net').createServer((c) => c.on('error', () => {}).end('+\\n0 4 0\\ndone'))
      .listen({ path: ${JSON.stringify(socket)}, backlog: 1 })`;
    const server = startDaemon(process.execPath, ['-e', program], {});
    while (await refused(socket)) await sleep(10);
    server.signal('SIGSTOP');
    await sleep(50);
    const queued = Array.from({ length: 3 }, () => connect(socket).on('error', () => {}));
    try {
      failsWith11(
        await start(shim.path, { command: 'ADD', socket, input: '{"serverWait":0.1}' }).ended,
        /temporarily unavailable/,
      );
      const { ended } = start(shim.path, { command: 'ADD', socket });
      await sleep(100);
      server.signal('SIGCONT');
      assert.equal((await ended).stdout.toString(), 'done');
    } finally {
      for (const connection of queued) connection.destroy();
      await server.stop();
    }
  });

  it('sends the whole request again when the server hangs up before it took it, soon at first', async () => {
    const input = Buffer.alloc(300_000, 'x');
    const took: number[] = [];
    // A busy machine adds to a time and never takes from it, so the shortest of five counts.
    for (let call = 0; call < 5; call++) {
      const times: number[] = [];
      const refuse = (connection: Socket, before: number) => {
        times[before] = performance.now();
        return before < 4 && connection.destroy() === connection;
      };
      await using server = await serve(socket, done, refuse);
      const ended = await start(shim.path, { command: 'ADD', socket, input }).ended;
      assert.equal(ended.stdout.toString(), 'done');
      assert.equal(server.connections(), 5);
      assert.ok(server.asked[0]?.stdin.equals(input));
      took.push((times[4] ?? 0) - (times[0] ?? 0));
    }
    assert.ok(Math.min(...took) < 180, `the first four retries took ${took.join(', ')} ms`);
  });

  it('ends when the server only ever accepts and closes', async () => {
    await using _server = await serve(socket, (connection) => connection.end());
    const { ended } = start(shim.path, { command: 'ADD', socket, input: '{"serverWait":0.2}' });
    failsWith11(await ended, /hung up before it took the request/);
  });

  it('does not ask twice for what may have been carried out', async () => {
    for (const command of ['ADD', 'UNHEARD-OF']) {
      await using server = await serve(socket, (connection) => connection.end('+\n0 10 0\n01234'));
      const error = failsWith11(
        await start(shim.path, { command, socket }).ended,
        new RegExp(`died while it worked on ${command}`),
      );
      assert.match(error.details, /DEL and try again/);
      assert.equal(server.connections(), 1);
    }
  });

  it('asks again for what may be carried out twice', async () => {
    for (const command of ['DEL', 'CHECK', 'GC', 'STATUS']) {
      await using server = await serve(socket, (connection, { before }) =>
        connection.end(before < 2 ? '+\n0 9 0\nhalf' : answer('done')),
      );
      const ended = await start(shim.path, { command, socket, input: '{"a":1}' }).ended;
      assert.deepEqual([ended.exit, ended.stdout.toString()], [0, 'done']);
      assert.deepEqual(
        server.asked.map(({ stdin }) => stdin.toString()),
        ['{"a":1}', '{"a":1}', '{"a":1}'],
      );
    }
    await using _server = await serve(socket, (connection) => connection.end('+'));
    const { ended } = start(shim.path, { command: 'DEL', socket, input: '{"serverWait":0.2}' });
    failsWith11(await ended, /carried out DEL.*died while it worked/);
  });

  it('ends for a server that is connected but stuck', async () => {
    const stuck = { command: 'ADD', socket };
    await using _server = await serve(socket, (connection, { before }) => before > 0 && connection.write('+\n0 10 0\n'));
    failsWith11(await start(shim.impatient, stuck).ended, /did not take ADD within 600 ms/);
    failsWith11(await start(shim.impatient, stuck).ended, /did not finish ADD within 600 ms/);
  });

  it('ends for a server that does not read', async () => {
    const deaf = createServer((connection) => connection.on('error', () => {}).pause());
    const connections = new Set<Socket>();
    deaf.on('connection', (connection) => connections.add(connection));
    await new Promise<void>((resolve) => deaf.listen(socket, resolve));
    const { ended } = start(shim.impatient, { command: 'DEL', socket, input: Buffer.alloc(4_000_000, 'x') });
    failsWith11(await ended, /did not take DEL within 600 ms/);
    for (const connection of connections) connection.destroy();
    await new Promise((resolve) => deaf.close(resolve));
  });

  it('is cut off where the time for the whole call ends', async () => {
    const ended = await start(shim.impatient, { command: 'ADD', socket, input: '{"serverWait":1e300}' }).ended;
    failsWith11(ended, /tried \d+ times in [6-9]\d\d ms/);
    const silent = await start(shim.impatient, { command: 'ADD', socket, input: null }).ended;
    assert.match(silent.stdout.toString(), /"code":5,"msg":"stdin did not end within 600 ms"/);
  });

  it('is what the top level of the configuration says', async () => {
    const short = [
      '{"serverWait":0.1}',
      '\t{"a":{"serverWait":50},"b":[{"serverWait":60}],"serverWait" : 1e-1}',
      '{"a":"\\"serverWait\\":50,","\\\\":"{[\\"","serverWait":0.1,"z":"}"}',
      '{"serverWait":50,"serverWait":0}',
      '{"serverWait":-3,"name":"n"}',
      '{"serverWait":0.1,"x":"serverWait","y":1}',
      '{"x":"serverWait","y":{"serverWait":70},"serverWait":\n0.1\n}',
    ];
    const byDefault = [
      '',
      'null',
      '{}',
      '[]',
      '{"serverWait":"0"}',
      '{"serverWait":null}',
      '{"serverWait":0x1}',
      '{"serverWait":[0]}',
      '{"serverwait":0,"serverWait2":0,"xserverWait":0}',
      '{"a":{"serverWait":0},"b":[{"serverWait":0},"serverWait",0]}',
      '{"a":"{\\"serverWait\\":0}","b":"\\\\\\"","c":"serverWait"}',
      '{"a":"unfinished \\',
      '[{"serverWait":0}]',
    ];
    const begin = (input: string) => start(shim.path, { command: 'ADD', socket, input });
    const [long, brief] = [byDefault.map(begin), short.map(begin)];
    // Those that wait as long as they do by default still wait when all others have given up, and a second later.
    for (const { ended } of brief) failsWith11(await ended, /tried \d+ times/);
    await sleep(1000);
    for (const { child } of long) child.kill('SIGTERM');
    const messages = await Promise.all(long.map(async ({ ended }) => JSON.parse((await ended).stdout.toString()).msg));
    assert.deepEqual(
      byDefault.filter((_, index) => !messages[index].startsWith('interrupted')),
      [],
    );
  });

  it('ends at once with SIGTERM, SIGINT or SIGHUP, wherever it waits', async () => {
    await using _server = await serve(`${socket}2`, (connection) => connection.write('+\n'));
    const places = [{ socket }, { socket: `${socket}2` }, { socket, input: null }];
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      for (const place of places) {
        const { child, ended } = start(shim.path, { command: 'ADD', ...place });
        // On a busy machine a program with sanitizers takes a while to get that far.
        await until(async () => catchesSigterm(child.pid), 'the executable listens for signals');
        await sleep(100);
        child.kill(signal);
        const result = await ended;
        failsWith11(result, /^interrupted by signal \d+ while waiting for/);
        assert.ok(result.ms < 10_000, `${result.ms} ms, half of the wait`);
      }
    }
  });

  it('over, SIGTERM ends it as any program, also while nobody reads what it prints', async () => {
    await using _server = await serve(socket, (connection) => connection.end(answer(Buffer.alloc(4_000_000))));
    const { child, ended } = start(shim.path, { command: 'ADD', socket });
    child.stdout?.pause();
    await sleep(300);
    child.kill('SIGTERM');
    await sleep(100);
    child.stdout?.resume();
    assert.equal((await ended).signal, 'SIGTERM');
  });

  it('is not needed for what cannot become better', async () => {
    writeFileSync(join(directory, 'file'), '');
    const ended = await start(shim.path, { command: 'ADD', socket: join(directory, 'file/cni.sock') }).ended;
    const error = JSON.parse(ended.stdout.toString());
    assert.deepEqual([ended.exit, error.code], [1, 5]);
    assert.match(error.msg, /cannot connect .*Not a directory/);
    assert.ok(ended.ms < 10_000, `${ended.ms} ms, half of the wait`);
  });
});

function refused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(path, () => resolve(false)).on('error', () => resolve(true));
    connection.on('connect', () => connection.destroy());
  });
}

/** proc_pid_status(5), SigCgt: a hexadecimal mask with a bit for each signal, from 1. */
function catchesSigterm(pid: number | undefined): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & (1n << 14n)) !== 0n;
}
