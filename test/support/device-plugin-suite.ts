// The contract with kubelet as mocha tests, for any device plugin in any language. You pass a function that starts yours.
// The suite runs on the fake kubelet in a directory of its own, and needs neither root nor hardware.
import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Behaviour } from './fake-kubelet/behaviour.ts';
import { sockets } from './fake-kubelet/registration.ts';
import { FakeKubelet } from './fake-kubelet.ts';

export interface RunningPlugin {
  /** Ends in an orderly way. */
  stop(): Promise<void>;
  /** Makes one healthy device of the resource unhealthy or well again, as far as the plugin can be made to. */
  readonly setHealth?: (id: string, healthy: boolean) => void | Promise<void>;
}

export interface PluginUnderTest {
  /** Starts it on `kubeletDir` (stands for /var/lib/kubelet, exists, may be empty). Resolves without waiting for kubelet. */
  start(kubeletDir: string): Promise<RunningPlugin>;
  /** What it offers: the number of healthy devices by resource name, at least 4 of the first. */
  readonly resources: Readonly<Record<string, number>>;
  /** The ways it can register; both when absent. */
  readonly ways?: readonly ('watcher' | 'register')[];
  /** Whether it deletes its sockets when it stops, and tells of devices that were not its to give. Exceptions are listed with a reason. */
  readonly exceptions?: Readonly<Record<string, string>>;
}

/** Declares the tests. Each one is skipped with the reason that `exceptions` gives for its title. */
export function testDevicePlugin(name: string, plugin: PluginUnderTest): void {
  const resources = Object.entries(plugin.resources);
  const [first, count] = resources[0] ?? ['', 0];

  for (const way of plugin.ways ?? ['watcher', 'register']) {
    describe(`${name}, registered by ${way}`, () => {
      let kubelet: FakeKubelet;
      let directory: string;
      const running = new Set<RunningPlugin>();

      async function start(): Promise<RunningPlugin> {
        const one = await plugin.start(directory);
        running.add(one);
        return one;
      }
      async function stop(one: RunningPlugin): Promise<void> {
        running.delete(one);
        await one.stop();
      }
      async function offered(timeout?: number): Promise<void> {
        for (const [resource, devices] of resources) await kubelet.untilOffered(resource, devices, devices, timeout);
      }
      function that(title: string, body: (this: Mocha.Context) => Promise<void>): void {
        it(title, function () {
          const reason = plugin.exceptions?.[title];
          if (reason === undefined) return body.call(this);
          console.log(`      skipped, ${reason}: ${title}`);
          return this.skip();
        });
      }
      function pod(
        pod: string,
        devices = 1,
      ): { readonly name: string; readonly containers: Record<string, Record<string, number>> } {
        return { name: `default/${pod}`, containers: { main: { [first]: devices } } };
      }

      beforeEach(() => {
        directory = mkdtempSync(join(tmpdir(), 'k-'));
        mkdirSync(join(directory, 'device-plugins'));
        if (way === 'watcher') mkdirSync(join(directory, 'plugins_registry'));
        const behaviour: Partial<Behaviour> = { watcher: way === 'watcher' };
        kubelet = new FakeKubelet({ directory, behaviour });
      });

      afterEach(async () => {
        await Promise.all([...running].map((one) => one.stop()));
        running.clear();
        kubelet.stop();
        rmSync(directory, { recursive: true, force: true });
        assert.deepEqual(kubelet.violations, []);
      });

      that('offers all its devices to a kubelet that is there', async () => {
        await kubelet.start();
        await start();
        await offered();
      });

      that('waits for a kubelet that starts later', async () => {
        await start();
        await new Promise((resolve) => setTimeout(resolve, 300));
        await kubelet.start();
        await offered();
      });

      that('is offered again after kubelet was restarted, and pods keep their devices', async () => {
        await kubelet.start();
        await start();
        await offered();
        const before = await kubelet.admit(pod('a', 2));
        for (let time = 0; time < 3; time++) {
          await kubelet.restart();
          await offered();
          assert.deepEqual(await kubelet.admit(pod('a', 2)), before);
        }
      });

      that('is offered again after kubelet was away for a while', async () => {
        await kubelet.start();
        await start();
        await offered();
        kubelet.stop();
        await new Promise((resolve) => setTimeout(resolve, 500));
        await kubelet.start();
        await offered();
      });

      that('gives every device to one container only, with pods admitted in parallel', async () => {
        await kubelet.start();
        await start();
        await offered();
        const given = await Promise.all(Array.from({ length: count }, (_, at) => kubelet.admit(pod(`p${at}`))));
        const ids = given.flat().flatMap((one) => one.ids);
        assert.equal(new Set(ids).size, count);
        await assert.rejects(kubelet.admit(pod('one-too-many')), /requested number of devices unavailable/);
        kubelet.remove('default/p0');
        assert.deepEqual((await kubelet.admit(pod('next')))[0]?.ids, given[0]?.[0]?.ids);
      });

      that('answers each container of one Allocate in order', async () => {
        await kubelet.start();
        await start();
        await offered();
        const [one = '', two = '', three = ''] = kubelet.healthy(first);
        const answers = await kubelet.allocateRaw(first, [[one], [two, three]]);
        assert.equal(answers.length, 2);
      });

      that('prefers devices that are available, those that must be included among them', async () => {
        await kubelet.start();
        await start();
        await offered();
        const available = kubelet.healthy(first).slice(0, 3);
        const must = available.slice(2);
        const preferred = await kubelet.preferredRaw(first, available, must, 2);
        assert.equal(preferred.length, 2);
        assert.ok(preferred.every((id) => available.includes(id)));
        assert.ok(must.every((id) => preferred.includes(id)));
      });

      that('refuses a device that it does not have, by name', async () => {
        await kubelet.start();
        await start();
        await offered();
        await assert.rejects(kubelet.allocateRaw(first, [['no-such-device']]), /no-such-device/);
      });

      that('refuses a request without devices', async () => {
        await kubelet.start();
        await start();
        await offered();
        await assert.rejects(kubelet.allocateRaw(first, [[]]), (error: Error) => /^[1-9]/.test(error.message));
      });

      that('bears a kubelet that is slow to dial and slow to read', async () => {
        Object.assign(kubelet.behaviour, { dialDelay: 400, listDelay: 400 });
        await kubelet.start();
        await start();
        await offered(10_000);
      });

      that('comes back after dials that failed', async () => {
        kubelet.behaviour.failingDials = 2 * resources.length;
        await kubelet.start();
        await start();
        await offered(10_000);
      });

      that('goes on asking after kubelet refused it', async () => {
        kubelet.behaviour.refuse = (resource) => `the ResourceName ${JSON.stringify(resource)} is invalid`;
        await kubelet.start();
        await start();
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.equal(kubelet.capacity(first), 0);
        kubelet.behaviour.refuse = () => undefined;
        await offered(10_000);
      });

      that('notices that its sockets were deleted', async () => {
        await kubelet.start();
        await start();
        await offered();
        const before = kubelet.sockets(first);
        for (const [resource] of resources) for (const socket of kubelet.sockets(resource)) rmSync(socket);
        await kubelet.until('a new socket is streamed from', () =>
          kubelet.sockets(first).some((socket) => !before.includes(socket)),
        );
        await offered();
      });

      that('tells kubelet of a change of health within a second, in a complete list', async function () {
        await kubelet.start();
        const one = await start();
        await offered();
        if (one.setHealth === undefined) return this.skip();
        const id = kubelet.healthy(first).at(-1) ?? '';
        await one.setHealth(id, false);
        await kubelet.untilOffered(first, count, count - 1, 1000);
        assert.ok(!kubelet.healthy(first).includes(id));
        await one.setHealth(id, true);
        await kubelet.untilOffered(first, count, count, 1000);
      });

      that('lets a second instance take over without a moment of fewer devices', async () => {
        await kubelet.start();
        const old = await start();
        await offered();
        const [before] = kubelet.sockets(first);
        await start();
        await kubelet.until('both instances are streamed from', () => kubelet.sockets(first).length === 2);
        let fewest = count;
        const watch = setInterval(() => {
          fewest = Math.min(fewest, kubelet.allocatable(first));
        }, 1);
        await stop(old);
        await kubelet.until('the old instance has gone', () => !kubelet.sockets(first).includes(before ?? ''));
        clearInterval(watch);
        assert.equal(fewest, count);
        await kubelet.admit(pod('a'));
      });

      that('leaves nothing allocatable and no socket when it stops', async () => {
        await kubelet.start();
        const one = await start();
        await offered();
        await stop(one);
        for (const [resource, devices] of resources) {
          await kubelet.until(`no ${resource} allocatable`, () => kubelet.allocatable(resource) === 0);
          assert.equal(kubelet.capacity(resource), devices);
        }
        const left = ['device-plugins', 'plugins_registry']
          .filter((name) => readdirSync(directory).includes(name))
          .flatMap((name) => sockets(join(directory, name)));
        assert.deepEqual(left, [kubelet.path('device-plugins/kubelet.sock')]);
      });
    });
  }
}
