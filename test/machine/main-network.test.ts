// Where we are the main network, a real server keeps the runtime's file as the ConfigMap has it.
import { equal, match } from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../tools/program.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { startNode, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

const top = join(import.meta.dirname, '../..');

describe("the main network's configuration", () => {
  let node: TestNode;
  let versions = 0;
  forAllTests(
    () => startNode({ server: false, settings: 'kubernetes: { disabled: true }\n' }),
    (made) => {
      node = made;
    },
  );

  const conflist = (more: object = {}) =>
    JSON.stringify({ cniVersion: '1.1.0', name: 'pods', plugins: [{ type: 'smartnic', bridge: 'br0', ...more }] });
  /** As kubelet does: a new folder, and the link `..data` that leads there is swapped. */
  const configMap = (text: string) => {
    const folder = join(node.dir, 'network');
    const version = `..v${versions++}`;
    mkdirSync(join(folder, version), { recursive: true });
    writeFileSync(join(folder, version, 'smartnic.conflist'), text);
    symlinkSync(version, join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
    if (!existsSync(join(folder, 'smartnic.conflist')))
      symlinkSync('..data/smartnic.conflist', join(folder, 'smartnic.conflist'));
  };
  const file = () => join(node.dir, 'net.d/10-smartnic.conflist');
  const present = () => (existsSync(file()) ? readFileSync(file(), 'utf8') : undefined);
  const env = () => ({
    SMARTNIC_CONFLIST: join(node.dir, 'network/smartnic.conflist'),
    SMARTNIC_CONFLIST_DIR: join(node.dir, 'net.d'),
    SMARTNIC_PROBE_SOCKET: join(node.dir, 'probe.sock'),
  });
  const ready = async () =>
    (await run(join(top, 'dist/smartnic-probe'), [join(node.dir, 'probe.sock'), '/readyz'], { reject: false })).stdout;
  const doctor = async () => {
    const variables = {
      SMARTNIC_CONFIG: join(node.dir, 'config.yaml'),
      SMARTNIC_SOCKET: node.socket,
      SMARTNIC_STATE_DIR: node.stateDir,
    };
    const command = [process.execPath, join(top, 'operator/main.ts'), 'doctor'];
    return (await run('ip', ['netns', 'exec', node.ovs.netns, ...command], { env: variables, reject: false })).stdout;
  };
  const has = async (text: string | undefined, what: string) => await until(async () => present() === text, what);

  it('is written when the server serves, and a changed ConfigMap is taken over without a restart', async () => {
    configMap(conflist());
    mkdirSync(join(node.dir, 'net.d'));
    await node.startServer(env());
    await has(conflist(), 'it is written');
    equal(statSync(file()).mode & 0o777, 0o644);
    configMap(conflist({ mtu: 1400 }));
    await has(conflist({ mtu: 1400 }), 'it is taken over');
    match(await node.log(), /"path":"\S+10-smartnic\.conflist","bytes":\d+,"msg":"network configuration taken over"/);
    match(await doctor(), /^ok +main network +\S+10-smartnic\.conflist is as the ConfigMap says$/m);
  });

  it('stays as it was while the ConfigMap has one that can not be read; the log, /readyz and `doctor` say so', async () => {
    const { ino } = statSync(file());
    configMap(conflist({ mtu: 1400, vlna: 5 }));
    await until(async () => /smartnic\.conflist:1: unknown key "vlna"/.test(await ready()), '/readyz says it');
    equal(statSync(file()).ino, ino);
    match(
      await node.log(),
      /unknown key \\"vlna\\"[^\n]*"msg":"network configuration refused; what the runtime has stays in force"/,
    );
    match(await doctor(), /^FAIL +main network +smartnic\.conflist:1: unknown key "vlna".*\n +-> correct the ConfigMap/m);
    configMap(conflist({ mtu: 1400 }));
    await until(async () => (await ready()) === 'ok', 'it is well again');
    equal(statSync(file()).ino, ino);
  });

  it('is left alone where a person changed or removed it on the node, until the ConfigMap changes', async () => {
    writeFileSync(file(), conflist({ mtu: 9000 }));
    await node.server.stop();
    await node.startServer(env());
    await until(async () => (await doctor()).includes('was changed on this node, and is left alone until'), 'the doctor says it');
    equal(present(), conflist({ mtu: 9000 }));
    configMap(conflist({ mtu: 1300 }));
    await has(conflist({ mtu: 1300 }), 'the later word counts');
    equal(readFileSync(join(node.stateDir, 'replaced-10-smartnic.conflist'), 'utf8'), conflist({ mtu: 9000 }));
    rmSync(file());
    // The next look comes with any event in the ConfigMap's folder.
    configMap(conflist({ mtu: 1300 }));
    await until(async () => (await node.log()).includes('was removed on this node, and is left alone'), 'the log says it');
    equal(present(), undefined);
    await node.server.stop();
    await node.startServer(env());
    await has(conflist({ mtu: 1300 }), 'a start writes it');
  });

  it('is not written while smartnic is taken off the node', async () => {
    await node.server.stop();
    rmSync(file());
    await node.startServer({ ...env(), SMARTNIC_DRAINING: 'true' });
    configMap(conflist({ mtu: 1200 }));
    // Longer than it takes to look at a change.
    await node.server.swept();
    await sleep(500);
    equal(present(), undefined);
  });
});
