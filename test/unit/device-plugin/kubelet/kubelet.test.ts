// Our plugin and a kubelet, beyond the published suite: repeated restarts, fallbacks, reloads, files left over, streams.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dialPlugin } from '../../../support/fake-kubelet/plugin-client.ts';
import { sockets } from '../../../support/fake-kubelet/registration.ts';
import { FakeKubelet } from '../../../support/fake-kubelet.ts';
import { type OurPlugin, startOurs } from '../../../support/our-plugin.ts';
import { someResource, someVfs, withProblems } from '../../../support/resources.ts';

const name = 'smartnic.io/direct';
const resource = someResource(name, someVfs([1], 4));

describe('our device plugin and kubelet', () => {
  let directory: string;
  let kubelet: FakeKubelet;
  let running: OurPlugin[];

  async function start(...args: Parameters<typeof startOurs> extends [string, ...infer Rest] ? Rest : never): Promise<OurPlugin> {
    const plugin = await startOurs(directory, ...args);
    running.push(plugin);
    return plugin;
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'k-'));
    for (const each of ['device-plugins', 'plugins_registry']) mkdirSync(join(directory, each));
    kubelet = new FakeKubelet({ directory });
    running = [];
  });

  afterEach(async () => {
    await Promise.all(running.map((plugin) => plugin.stop()));
    kubelet.stop();
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(kubelet.violations, []);
  });

  for (const registration of ['watcher', 'register'] as const)
    it(`registers a resource with the longest name that kubelet takes, by ${registration}`, async () => {
      const domain = ['a', 'b', 'c'].map((letter) => letter.repeat(61)).join('.');
      const longest = `${domain}.${'d'.repeat(58)}/${'e'.repeat(63)}`;
      assert.equal(longest.length, 244 + 1 + 63);
      await kubelet.start();
      await start([someResource(longest, someVfs([1], 2)), resource], { registration });
      await kubelet.untilOffered(longest, 2);
      await kubelet.untilOffered(name, 4);
      assert.equal(ourSockets().filter((socket) => socket.includes('smartnic.io_direct')).length, 1);
    });

  for (const registration of ['watcher', 'register'] as const) {
    it(`survives 100 restarts of kubelet with one stream and one socket, registered by ${registration}`, async () => {
      await kubelet.start();
      const plugin = await start([resource], { registration });
      await kubelet.untilOffered(name, 4);
      const [status] = plugin.status;
      const open = openFiles();
      for (let time = 0; time < 100; time++) {
        await kubelet.restart();
        await kubelet.untilOffered(name, 4);
      }
      await kubelet.until('one stream is left', () => plugin.status[0]?.streams === 1);
      assert.equal(status?.way, registration);
      assert.equal(ourSockets().length, 1);
      assert.ok((plugin.status[0]?.registrations ?? 0) >= 100);
      assert.ok(openFiles() <= open + 4, `${open} files were open before, ${openFiles()} after`);
    });
  }

  it('falls back to Register when kubelet passes its plugins_registry over', async () => {
    kubelet.behaviour.watcher = false;
    await kubelet.start();
    const plugin = await start([resource], { timing: { patience: 200 } });
    await kubelet.untilOffered(name, 4);
    assert.equal(plugin.status[0]?.way, 'register');
    assert.deepEqual(sockets(kubelet.path('plugins_registry')), []);
  });

  it('goes by Register where there is no plugins_registry, and waits where there is nothing at all', async () => {
    for (const each of ['device-plugins', 'plugins_registry']) rmSync(kubelet.path(each), { recursive: true });
    const plugin = await start([resource]);
    await kubelet.until('it says what is missing', () => plugin.status[0]?.reason !== undefined);
    assert.match(plugin.status[0]?.reason ?? '', /kubelet's directory .*plugins_registry is not there/);
    kubelet.behaviour.watcher = false;
    await kubelet.start();
    await kubelet.untilOffered(name, 4);
    assert.equal(plugin.status[0]?.way, 'register');
  });

  it('notices a restart of kubelet by inotify, not only by its slow look', async () => {
    await kubelet.start();
    await start([resource], { registration: 'register', timing: { tick: 60_000, patience: 60_000, firstPause: 10_000 } });
    await kubelet.untilOffered(name, 4);
    for (let time = 0; time < 3; time++) {
      await kubelet.restart();
      await kubelet.untilOffered(name, 4, 4, 2000);
      kubelet.stop();
      await new Promise((resolve) => setTimeout(resolve, 100));
      await kubelet.start();
      await kubelet.untilOffered(name, 4, 4, 2000);
    }
  });

  it('logs the same refusal once, and says when kubelet has taken the resource at last', async () => {
    kubelet.behaviour.refuse = () => 'not today';
    await kubelet.start();
    const plugin = await start([resource], { registration: 'register' });
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.equal(plugin.status[0]?.state, 'refused');
    assert.equal(plugin.status[0]?.reason, 'kubelet refused smartnic.io/direct: not today');
    assert.equal(plugin.log.filter((line) => line.includes('not today')).length, 1);
    kubelet.behaviour.refuse = () => undefined;
    await kubelet.untilOffered(name, 4);
    assert.match(plugin.log.at(-1) ?? '', /kubelet has taken the resource/);
  });

  it('asks a kubelet that refuses less and less often', async () => {
    let asked = 0;
    kubelet.behaviour.refuse = () => {
      asked += 1;
      return 'not today';
    };
    await kubelet.start();
    await start([resource], { registration: 'register', timing: { firstPause: 20, longestPause: 400 } });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.ok(asked >= 3 && asked <= 9, `${asked} times in 1.5 s; with a pause of 20 ms each it would be some 50`);
  });

  it('comes back when the directory itself was deleted and made anew', async () => {
    await kubelet.start();
    await start([resource]);
    await kubelet.untilOffered(name, 4);
    const [before] = kubelet.sockets(name);
    rmSync(kubelet.path('plugins_registry'), { recursive: true });
    mkdirSync(kubelet.path('plugins_registry'));
    await kubelet.until('a new socket is streamed from', () => kubelet.sockets(name).some((socket) => socket !== before));
    await kubelet.untilOffered(name, 4);
  });

  it("comes back when kubelet's own directory was deleted and made anew, at once, also under the same inode number", async () => {
    kubelet.behaviour.watcher = false;
    await kubelet.start();
    await start([resource], { registration: 'register', timing: { tick: 60_000, patience: 60_000, firstPause: 10_000 } });
    for (let time = 0; time < 3; time++) {
      await kubelet.untilOffered(name, 4, 4, 3000);
      kubelet.stop();
      rmSync(kubelet.path('device-plugins'), { recursive: true });
      mkdirSync(kubelet.path('device-plugins'));
      await new Promise((resolve) => setTimeout(resolve, 200));
      await kubelet.start();
    }
    await kubelet.untilOffered(name, 4, 4, 3000);
  });

  it('passes on what kubelet says about a name that it does not take, by both ways', async () => {
    await kubelet.start();
    for (const registration of ['watcher', 'register'] as const) {
      const plugin = await start([{ ...resource, name: 'vf' }], { registration });
      await kubelet.until('it is refused', () => plugin.status[0]?.state === 'refused');
      assert.match(plugin.status[0]?.reason ?? '', /^kubelet refused vf: .*the ResourceName "vf" is invalid$/);
    }
  });

  it("says that a socket's path is too long when the directory alone is", async () => {
    const deep = join(directory, 'x'.repeat(70));
    for (const each of ['device-plugins', 'plugins_registry']) mkdirSync(join(deep, each), { recursive: true });
    const plugin = await startOurs(deep, [resource], { registration: 'watcher' });
    running.push(plugin);
    await kubelet.until('it gives up', () => plugin.status[0]?.reason !== undefined);
    assert.match(plugin.status[0]?.reason ?? '', /socket path .*x{70}.* is 1\d\d bytes long, a unix socket's has at most 107/);
  });

  it('takes over a configuration in which resources came, went and were renamed', async () => {
    await kubelet.start();
    const plugin = await start([resource, someResource('smartnic.io/old', someVfs([2], 2))]);
    await kubelet.untilOffered('smartnic.io/old', 2);
    plugin.offer([resource, someResource('smartnic.io/new', someVfs([2], 2)), someResource('smartnic.io/empty', [])]);
    await kubelet.untilOffered('smartnic.io/new', 2);
    await kubelet.until('the empty pool is registered', () => kubelet.sockets('smartnic.io/empty').length === 1);
    await kubelet.until('the old name is gone', () => kubelet.sockets('smartnic.io/old').length === 0);
    assert.equal(kubelet.capacity('smartnic.io/old'), 0);
    assert.equal(kubelet.allocatable(name), 4);
    assert.equal(ourSockets().length, 3);
    plugin.offer([resource, someResource('smartnic.io/old', someVfs([2], 1))]);
    await kubelet.untilOffered('smartnic.io/old', 1);
  });

  it('withdraws a resource from a kubelet that is still busy with the list before, and hangs up as soon as the socket is gone', async () => {
    await kubelet.start();
    const old = someResource('smartnic.io/old', someVfs([2], 2));
    const plugin = await start([resource, old]);
    await kubelet.untilOffered(old.name, 2);
    kubelet.behaviour.listDelay = 300;
    plugin.offer([resource]);
    await kubelet.until('the socket is gone', () => kubelet.sockets(old.name).length === 0);
    assert.equal(kubelet.capacity(old.name), 0);
  });

  it('sends a list only when it differs, and many changes within milliseconds as one', async () => {
    await kubelet.start();
    const plugin = await start([resource]);
    await kubelet.untilOffered(name, 4);
    const before = kubelet.messages;
    for (let time = 0; time < 50; time++) plugin.offer([{ ...resource }]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(kubelet.messages, before);
    for (const { id } of resource.units) plugin.offer([withProblems(resource, id, 'driver-wrong')]);
    await kubelet.untilOffered(name, 4, 3);
    assert.equal(kubelet.messages, before + 1);
  });

  it('tells of 2048 devices in a message that kubelet can receive', async () => {
    const many = someResource(name, someVfs([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 128));
    await kubelet.start();
    await start([{ ...many, units: many.units.map((unit) => ({ ...unit, numaNodes: [0, 1] })) }]);
    await kubelet.untilOffered(name, 2048);
    assert.deepEqual(kubelet.numaNodes(name, '0000:10:01.0'), [0, 1]);
    assert.ok(kubelet.greatestMessage < 1024 * 1024, `${kubelet.greatestMessage} bytes`);
  });

  it('forgets a stream when its peer is gone, however it went', async () => {
    await kubelet.start();
    const plugin = await start([resource]);
    await kubelet.untilOffered(name, 4);
    const [socket = ''] = kubelet.sockets(name);
    for (let time = 0; time < 20; time++) {
      const client = await dialPlugin(socket, 1000);
      await new Promise<void>((resolve) =>
        client.listAndWatch(
          () => resolve(),
          () => {},
        ),
      );
      client.close();
      await streamAndVanish(socket);
    }
    await kubelet.until('only the stream of kubelet is left', () => plugin.status[0]?.streams === 1);
    kubelet.stop();
    await kubelet.until('no stream is left', () => plugin.status[0]?.streams === 0);
  });

  it('is allocatable again soon after another instance left, with a kubelet that closes ours as well then', async () => {
    kubelet.behaviour.seamless = false;
    await kubelet.start();
    const old = await start([resource]);
    await start([resource]);
    await kubelet.until('both are streamed from', () => kubelet.sockets(name).length === 2);
    await Promise.all([kubelet.until('kubelet has noticed', () => kubelet.allocatable(name) === 0), old.stop()]);
    await kubelet.untilOffered(name, 4, 4, 2000);
  });

  it('removes sockets that a killed instance left, and only those', async () => {
    const [dead, alive, other] = ['smartnic-a_b-00000000.sock', 'smartnic-a_b-11111111.sock', 'somebody-else.sock'].map((file) =>
      kubelet.path(`plugins_registry/${file}`),
    );
    await leaveSocket(dead ?? '');
    await leaveSocket(other ?? '');
    await using server = createServer().listen(alive);
    await once(server, 'listening');
    await start([]);
    assert.deepEqual(sockets(kubelet.path('plugins_registry')).toSorted(), [alive, other]);
  });

  it('opens its socket to root only', async () => {
    await kubelet.start();
    await start([resource]);
    await kubelet.untilOffered(name, 4);
    assert.deepEqual(
      ourSockets().map((socket) => statSync(socket).mode & 0o777),
      [0o600],
    );
  });

  it('is not disturbed by files that others keep in the directories', async () => {
    writeFileSync(kubelet.path('plugins_registry/readme'), 'not a socket');
    await kubelet.start();
    await start([resource], { timing: { patience: 300 } });
    await kubelet.untilOffered(name, 4);
    const [before] = ourSockets();
    for (let time = 0; time < 20; time++) {
      writeFileSync(kubelet.path(`device-plugins/file-${time}`), '');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual(ourSockets(), [before]);
  });

  function ourSockets(): readonly string[] {
    return ['device-plugins', 'plugins_registry']
      .flatMap((each) => sockets(kubelet.path(each)))
      .filter((socket) => !socket.endsWith('/kubelet.sock'));
  }
});

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Opens ListAndWatch by hand and drops the connection without a word, as a killed kubelet does. */
async function streamAndVanish(socket: string): Promise<void> {
  const wire = connect(socket);
  const session = connectHttp2('http://localhost', { createConnection: () => wire });
  session.on('error', () => {});
  const call = session.request({
    ':method': 'POST',
    ':path': '/v1beta1.DevicePlugin/ListAndWatch',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.on('error', () => {});
  call.end(Buffer.alloc(5));
  await once(call, 'data');
  wire.destroy();
  await once(session, 'close');
}

/** A socket file that nobody listens on. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.tmp`);
  await once(server, 'listening');
  linkSync(`${path}.tmp`, path);
  server.close();
  await once(server, 'close');
}
