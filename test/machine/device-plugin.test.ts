// The device plugin as it ships: a process without any capability, on a tree and a fake kubelet, with its pages, its log and its commands.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { start as startProgram } from '../../tools/program.ts';
import { FakeKubelet } from '../support/fake-kubelet.ts';
import { freePort } from '../support/free-port.ts';
import { igb } from '../support/nic-trees.ts';
import { makeTree, type Tree } from '../support/sysfs-tree.ts';
import { until } from '../support/until.ts';

const dist = join(import.meta.dirname, '../../dist');
const direct = 'smartnic.io/direct';
const pools = (more = '') =>
  `pools: [{ name: a, vnicType: [direct, virtio-forwarder]${more}, selectors: [{ vendors: ["8086"] }] }]`;

describe('the device plugin as it ships', () => {
  let tree: Tree;
  let kubelet: FakeKubelet;
  let port: number;
  const undo = new AsyncDisposableStack();

  before(async () => {
    tree = undo.use(makeTree(igb({ vfs: 4 })));
    kubelet = new FakeKubelet({ directory: join(tree.root, 'k') });
    undo.defer(() => kubelet.stop());
    await kubelet.start();
    mkdirSync(join(tree.root, 'etc'));
    port = await freePort();
  });
  after(async () => await undo.disposeAsync());

  /** Root without rights, as in its container. */
  function start(program: 'smartnic-device-plugin' | 'smartnic', ...args: readonly string[]) {
    const flags = ['--root', tree.root, '--config', join(tree.root, 'etc/pools.yaml'), '--kubelet-dir', '/k'];
    const rights = ['--bounding-set', '-all', '--inh-caps', '-all', '--no-new-privs', '--pdeathsig', 'KILL'];
    const env = { PATH: `${dirname(process.execPath)}:${process.env['PATH']}` };
    return startProgram('setpriv', [...rights, join(dist, `${program}.mjs`), ...args, ...flags], { env, reject: false });
  }
  async function page(path: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return `${response.status} ${(await response.text()).trim()}`;
  }
  function configure(text: string): void {
    writeFileSync(join(tree.root, 'etc/pools.yaml'), text);
  }

  it('has none of the code that plugs', () => {
    const plugging = ['vnic/vf', 'host/nic/driver', 'host/nic/vf-netdev'].flatMap((file) =>
      [...readFileSync(join(dist, `../${file}.ts`), 'utf8').matchAll(/^export (?:async )?function (\w+)/gm)].map(
        ([, name]) => name,
      ),
    );
    const shipped = sourceOf('smartnic-device-plugin.mjs');
    ok(plugging.length > 8 && shipped.includes('"allocate"'), 'the bundle keeps names');
    deepEqual(
      plugging.filter((name) => shipped.includes(`"${name}"`)),
      [],
    );
  });

  it('needs no capability, tells of every reason in log, metrics and `vfs`, and ends in an orderly way', async () => {
    configure(pools());
    const plugin = start('smartnic-device-plugin', '--address', `127.0.0.1:${port}`);
    try {
      await kubelet.untilOffered(direct, 4, 4);
      const given = await kubelet.admit({ name: 'default/p', containers: { c: { [direct]: 1 } } });
      equal(given[0]?.devices.length, 2);
      equal(await page('/healthz'), '200 ok');
      equal(await page('/readyz'), '200 ok');
      configure(pools(', bridge: br-none'));
      await kubelet.untilOffered(direct, 4, 1); // the pod keeps its own
      const metrics = (await page('/metrics')).split('\n');
      for (const [told, count] of [
        ['true', 3],
        ['false', 1],
      ])
        ok(metrics.includes(`smartnic_vf_problems{resource="${direct}",reason="bridge-missing",told="${told}"} ${count}`));
      const { stdout } = await start('smartnic', 'vfs');
      equal(stdout.match(/ {2}unhealthy: bridge-missing: there is no bridge br-none/g)?.length, 3, stdout);
      match(stdout, / {2}allocated as smartnic\.io\/direct in default\/p \(container c\), but bridge-missing: /);
      match(
        (await start('smartnic', 'explain', given[0]?.ids[0] ?? '')).stdout,
        /^pool a \(line 1\): offered as smartnic\.io\/direct and/m,
      );
    } finally {
      plugin.kill('SIGTERM');
    }
    const { exitCode, stdout, stderr } = await plugin;
    deepEqual([exitCode, stdout], [0, '']);
    const log = stderr.split('\n').map((line) => JSON.parse(line));
    equal(log.filter(({ reason, resource, told }) => reason === 'bridge-missing' && resource === direct && told).length, 3);
    equal(log.at(-1)?.msg, 'stopped');
    deepEqual(
      readdirSync(join(tree.root, 'k/plugins_registry')).filter((name) => name.startsWith('smartnic-')),
      [],
    );
    const info = join(tree.root, 'var/run/k8s.cni.cncf.io/devinfo/dp');
    equal(readdirSync(info).filter((name) => name.endsWith('-device.json')).length, 8);
    ok(existsSync(join(tree.root, 'run/smartnic/vhost/0000:41:10.0')));
    equal(JSON.parse(readFileSync(join(info, 'smartnic.io-direct-0000:41:10.0-device.json'), 'utf8')).type, 'pci');
  });

  it('serves kubelet though another one has its address, and its pages when that one has gone: as in an upgrade', async () => {
    const taken = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    configure(pools());
    const plugin = start('smartnic-device-plugin', '--address', `127.0.0.1:${port}`);
    try {
      await kubelet.untilOffered(direct, 4, 4);
      taken.close();
      await until(async () => (await page('/readyz').catch(() => '')) === '200 ok', 'its pages are there');
    } finally {
      taken.close();
      plugin.kill('SIGTERM');
    }
    const { exitCode, stderr } = await plugin;
    equal(exitCode, 0);
    equal(stderr.match(/cannot serve metrics on 127\.0\.0\.1:\d+: [^"]*EADDRINUSE/g)?.length, 1);
  });

  it('says by its exit status and one line what keeps it from starting', async () => {
    for (const program of ['smartnic-device-plugin', 'smartnic'] as const) {
      const refused = await start(program, 'x');
      equal(refused.exitCode, 1);
      match(refused.stderr, new RegExp(`^${program}: unknown command "x"; known [^\n]+$`));
    }
  });
});

/** A bundle and every file that it loads sooner or later. */
function sourceOf(file: string, seen: Set<string> = new Set([file])): string {
  const text = readFileSync(join(dist, file), 'utf8');
  const imported = [...text.matchAll(/\b(?:from|import)\s*\(?"\.\/([\w-]+\.mjs)"/g)].flatMap(([, name = '']) =>
    seen.has(name) ? [] : [name],
  );
  for (const name of imported) seen.add(name);
  return text + imported.map((name) => sourceOf(name, seen)).join('');
}
