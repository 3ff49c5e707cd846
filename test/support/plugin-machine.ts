// A machine for the whole device plugin: a sysfs tree, a configuration file, a fake kubelet, and the plugin on them. All of it ends together.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Plugin, type PluginOptions, startPlugin } from '../../device-plugin/plugin.ts';
import type { KernelFacts } from '../../host/nic/nics.ts';
import { FakeKubelet } from './fake-kubelet.ts';
import { makeTree, noFacts, type Tree, type TreePf } from './sysfs-tree.ts';

export interface PluginMachine {
  readonly tree: Tree;
  readonly kubelet: FakeKubelet;
  readonly plugin: Plugin;
  /** What the kernel says from now on. */
  facts: Partial<KernelFacts>;
  /** The kernel announces something. */
  ring(): void;
  configure(text: string): void;
  /** Ends the plugin and starts another one on the same machine. */
  restart(): Promise<Plugin>;
  stop(): Promise<void>;
}

/** @param text - the configuration; absent: there is no file. */
export async function startMachine(
  pfs: readonly TreePf[],
  text?: string,
  more: Partial<PluginOptions> = {},
): Promise<PluginMachine> {
  const tree = makeTree(...pfs);
  const kubelet = new FakeKubelet({ directory: join(tree.root, 'k') });
  await kubelet.start();
  kubelet.addPod('another'); // a list without any pod is not believed to be complete
  mkdirSync(join(tree.root, 'etc'));
  const file = join(tree.root, 'etc/pools.yaml');
  const configure = (next: string) => writeFileSync(file, next);
  if (text !== undefined) configure(text);
  let bell = () => {};
  const start = (): Promise<Plugin> =>
    startPlugin({
      host: tree.host,
      ask: async () => ({ ...noFacts, ...machine.facts }),
      config: { file, settle: 20, tick: 60_000 },
      inventory: { events: [events], settle: 10, tick: 60_000 },
      kubelet: { kubeletDir: '/k', timing: { reconcile: 50, grace: 0 } },
      ...more,
    });

  async function* events(signal: AbortSignal): AsyncGenerator<string> {
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        bell = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      yield 'event';
    }
  }

  let plugin: Plugin | undefined;
  const machine = {
    tree,
    kubelet,
    facts: {} as Partial<KernelFacts>,
    get plugin(): Plugin {
      if (plugin === undefined) throw new Error('the plugin runs only between start and stop');
      return plugin;
    },
    ring: () => bell(),
    configure,
    async restart() {
      await plugin?.stop();
      plugin = await start();
      return plugin;
    },
    async stop() {
      await plugin?.stop();
      kubelet.stop();
      tree[Symbol.dispose]();
    },
  };
  plugin = await start();
  return machine;
}
