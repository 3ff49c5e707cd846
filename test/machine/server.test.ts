// The resident server as a process: its socket, one at a time, stopping with work under way, callers that misbehave or die.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, start as startProgram } from '../../tools/program.ts';
import { type CrashNode, startCrashNode, writeIpam } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import type { CniAnswer, CniCall, TestNode } from '../support/node.ts';
import { start } from '../support/shim.ts';
import { until } from '../support/until.ts';

const top = join(import.meta.dirname, '../..');
const smartnicProbe = join(top, 'dist/smartnic-probe');

describe('the CNI server', () => {
  let crash: CrashNode;
  let node: TestNode;
  forAllTests(startCrashNode, async (made) => {
    crash = made;
    node = crash.node;
    // Leaves a mark that it was called, waits, and then does what host-local does.
    const slow = `[ "$CNI_COMMAND" = ADD ] && touch ${node.dir}/called-$CNI_IFNAME && sleep 0.7\nexec /usr/lib/cni/host-local`;
    await writeIpam(node, 'slow', slow);
  });
  beforeEach(() => node.startServer());
  afterEach(async () => {
    for (const socket of callers.splice(0)) socket.destroy();
    await node.server.stop();
  });

  const callWith = (type: string, ifname: string): CniCall => {
    const call = crash.call({ cniVersion: '1.0.0' }); // Debian's host-local speaks it, so it is asked just once
    const { ipam, ...rest } = call.config as { readonly ipam: object };
    return { ...call, ifname, config: { ...rest, ipam: { ...ipam, type } } };
  };
  const slowCall = (ifname: string) => callWith('slow', ifname);
  const called = async (ifname: string) => {
    const mark = join(node.dir, `called-${ifname}`);
    await until(async () => existsSync(mark), `IPAM is called for ${ifname}`);
    await rm(mark);
  };
  const deletedAndClean = async (...calls: readonly CniCall[]) => {
    for (const call of calls) assert.equal((await node.cni('DEL', call)).exit, 0);
    assert.deepEqual(await crash.left(), []);
  };
  const callers: Socket[] = [];
  const connected = async (): Promise<Socket> => {
    const socket = createConnection(node.socket);
    callers.push(socket);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return socket;
  };

  it('has a socket for root alone, in a directory for root alone', async () => {
    assert.equal((await stat(node.socket)).mode & 0o777, 0o600);
    assert.equal((await stat(dirname(node.socket))).mode & 0o777, 0o700);
    assert.equal((await stat(node.stateDir)).mode & 0o777, 0o700);
  });

  it('takes the place of one that was killed, whose socket is still there', async () => {
    await node.server.stop('SIGKILL');
    assert.ok(existsSync(node.socket));
    await node.startServer();
    assert.equal((await node.cni('STATUS', crash.call())).exit, 0);
  });

  it('refuses to start beside another one, and does not touch what that one is doing', async () => {
    const call = slowCall('net1');
    const added = node.cni('ADD', call);
    await called('net1');
    const first = node.server;
    await assert.rejects(node.startServer(), /smartnic can't start: another server works with .*\/state.*; stop it first/);
    const elsewhere = await mkdtemp(join(node.dir, 'state-'));
    const taken = /smartnic can't start: socket: another server answers on .*cni.sock; stop it first/;
    await assert.rejects(node.startServer({ SMARTNIC_STATE_DIR: elsewhere }), taken);
    assert.equal((await added).exit, 0);
    await crash.ping();
    await deletedAndClean(call);
    await first.stop();
  });

  it('stands by where it is told to, and goes on when the other one has ended what runs', async () => {
    const call = slowCall('net1');
    const added = node.cni('ADD', call);
    await called('net1');
    const first = node.server;
    const second = node.startServer({ SMARTNIC_STANDBY: 'true' });
    await until(async () => (await node.log()).includes('standing by'), 'the second one stands by');
    const coming = first.stop().then(() => node.cni('DEL', call));
    assert.equal((await added).exit, 0);
    assert.equal((await coming).exit, 0);
    await second;
  });

  it('tells kubelet of itself while it stands by: that it could go on, or why it could not', async () => {
    const socket = (name: string) => join(node.dir, `probe-${name}.sock`);
    const probe = async (name: string, page: string) => {
      const { exitCode, stdout } = await run(smartnicProbe, [socket(name), page], { reject: false });
      return `${exitCode} ${stdout}`;
    };
    const config = join(node.dir, 'broken.yaml');
    await writeFile(config, '{ ovsdb: "unix:/nowhere/db.sock", kubernetes: { disabled: true } }');
    const env = { ...process.env, SMARTNIC_CONFIG: config, SMARTNIC_STATE_DIR: node.stateDir, SMARTNIC_STANDBY: 'true' };
    const more = { SMARTNIC_PROBE_SOCKET: socket('broken') };
    const broken = startProgram(process.execPath, [join(top, 'cni/main.ts')], {
      env: { ...env, ...more },
      reject: false,
      stdio: 'ignore',
      cleanup: true,
    });
    try {
      await until(async () => (await probe('broken', '/healthz')) === '0 ok', 'the broken one stands by');
      assert.match(await probe('broken', '/readyz'), /^1 OVSDB server unix:\/nowhere\/db\.sock/);
    } finally {
      broken.kill();
      await broken;
    }
    const first = node.server;
    const second = node.startServer({ SMARTNIC_STANDBY: 'true', SMARTNIC_PROBE_SOCKET: socket('good') });
    await until(async () => (await probe('good', '/readyz')) === '0 ok', 'the good one stands by');
    await first.stop();
    await second;
    assert.deepEqual([await probe('good', '/readyz'), await probe('good', '/healthz')], ['0 ok', '0 ok']);
    await rm(node.socket);
    assert.match(await probe('good', '/healthz'), /^1 the socket .*cni\.sock was removed or replaced/);
  });

  it('finishes what runs when it is stopped; what comes then waits for the next one', async () => {
    const [running, coming] = [slowCall('net1'), slowCall('net2')];
    const added = node.cni('ADD', running);
    await called('net1');
    const stopped = node.server.stop();
    await until(async () => !existsSync(node.socket), 'the stopping server gives up its socket');
    const next = node.cni('ADD', coming);
    const first = await added;
    assert.deepEqual([first.exit, await stopped], [0, 0], first.stdout);
    await node.startServer();
    const second = await next;
    assert.equal(second.exit, 0, second.stdout);
    await deletedAndClean(running, coming);
  });

  it('is not kept from stopping by a caller that sent nothing, or half of something', async () => {
    await connected(); // and says nothing
    const half = await connected();
    half.write('smartnic/1 10 10\nCNI_');
    await sleep(50);
    const began = performance.now();
    assert.equal(await node.server.stop(), 0);
    // After 8 s it would have given up what runs.
    assert.ok(performance.now() - began < 7500, `it took ${performance.now() - began} ms`);
  });

  it('does two requests for one interface one after the other', async () => {
    const call = slowCall('net1');
    const added = node.cni('ADD', call);
    await called('net1');
    const order: string[] = [];
    const noted = async (command: string, answered: Promise<CniAnswer>) => {
      assert.equal((await answered).exit, 0);
      order.push(command);
    };
    await Promise.all([noted('ADD', added), noted('DEL', node.cni('DEL', call))]);
    assert.deepEqual(order, ['ADD', 'DEL']);
    assert.deepEqual(await crash.left(), []);
  });

  it('does requests for different interfaces side by side', async () => {
    const names = ['net1', 'net2', 'net3', 'net4'];
    const marks = names.map((name) => join(node.dir, `together-${name}`));
    // Gives no address before it was called for all.
    const wait = `touch ${node.dir}/together-$CNI_IFNAME; until ${marks.map((mark) => `[ -e ${mark} ]`).join(' && ')}; do sleep 0.05; done`;
    await writeIpam(node, 'together', `[ "$CNI_COMMAND" = ADD ] && { ${wait}; }\nexec /usr/lib/cni/host-local`);
    const calls = names.map((name) => callWith('together', name));
    const answers = await Promise.all(calls.map((call) => node.cni('ADD', call)));
    assert.deepEqual(answers.map(({ exit, stdout }) => (exit === 0 ? '' : stdout)), ['', '', '', '']); // biome-ignore format: one thought
    await deletedAndClean(...calls);
  });

  it('ends clean when the runtime kills the executable in an ADD and sends a DEL', async () => {
    const call = slowCall('net1');
    const env = {
      CNI_CONTAINERID: call.containerId,
      CNI_NETNS: crash.pod.path,
      CNI_IFNAME: 'net1',
      CNI_PATH: `${join(node.dir, 'ipam')}:/usr/lib/cni`,
    };
    const executable = join(import.meta.dirname, '../../dist/smartnic');
    const { child, ended } = start(executable, { command: 'ADD', socket: node.socket, env, input: JSON.stringify(call.config) });
    await called('net1');
    child.kill('SIGKILL');
    assert.equal((await ended).stdout.toString(), '');
    await deletedAndClean({ ...call, netns: '' });
  });

  it('answers a bad frame with an error, and serves others while one says nothing', async () => {
    const silent = await connected();
    const garbage = await connected();
    const garbageAnswer = text(garbage);
    garbage.write(Buffer.alloc(200, 0xff));
    const old = await connected();
    const oldAnswer = text(old);
    old.write('smartnic/9 1 1\nab');
    const huge = await connected();
    const hugeAnswer = text(huge);
    huge.write('smartnic/1 99999999 99999999\n');
    const gone = await connected();
    gone.write('smartnic/1 5 5000\nA=1');
    gone.destroy();
    const call = crash.call();
    assert.equal((await node.cni('ADD', call)).exit, 0);
    await crash.ping();
    assert.match(await garbageAnswer, /"code":5,"msg":"the request does not begin with a smartnic\/1 header"/);
    assert.match(await oldAnswer, /executable and server are of different versions: install both from one release/);
    assert.match(await hugeAnswer, /the request is too large: 99999999 bytes of environment/);
    await deletedAndClean(call);
    assert.equal(silent.destroyed, false);
  });

  it('does not start with settings that are wrong, and says where', async () => {
    await node.server.stop();
    const file = join(node.dir, 'wrong.yaml');
    await writeFile(file, 'ovsdb: http://127.0.0.1\nipamTimeout: 0\n');
    await assert.rejects(node.startServer({ SMARTNIC_CONFIG: file }), (error: Error) => {
      assert.match(error.message, /smartnic can't start: .*wrong\.yaml/);
      assert.match(error.message, /ovsdb: \\"http:\/\/127\.0\.0\.1\\"/);
      assert.match(error.message, /ipamTimeout: 0 /);
      return true;
    });
    await assert.rejects(node.startServer({ SMARTNIC_CONFIG: join(node.dir, 'absent.yaml') }), /absent\.yaml: .*can't be read/);
  });
});
