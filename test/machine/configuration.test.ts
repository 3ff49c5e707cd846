// The node's configuration in a real server: a change is taken over without a restart, and a typo stops nothing, not even a start.
import { deepEqual, equal, match } from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { attach } from '../support/attached.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

const top = join(import.meta.dirname, '../..');

describe("the node's configuration", () => {
  let node: TestNode;
  const probe = () => join(node.dir, 'probe.sock');
  const env = () => ({ SMARTNIC_PROBE_SOCKET: probe() });
  forAllTests(
    () => startNode({ server: false }),
    (made) => {
      node = made;
    },
  );

  const put = (more: string) =>
    writeFile(join(node.dir, 'config.yaml'), `ovsdb: ${node.ovs.address}\nkubernetes: { disabled: true }\n${more}`);
  const ready = async () => (await run(join(top, 'dist/smartnic-probe'), [probe(), '/readyz'], { reject: false })).stdout;
  const add = async () => {
    await using pod = await node.pod();
    return await node.cni('ADD', { containerId: containerId(), netns: pod.path, config: network(node) });
  };
  const smartnic = async (...args: readonly string[]) => {
    const variables = {
      SMARTNIC_CONFIG: join(node.dir, 'config.yaml'),
      SMARTNIC_SOCKET: node.socket,
      SMARTNIC_STATE_DIR: node.stateDir,
    };
    const command = [process.execPath, join(top, 'operator/main.ts'), ...args];
    return await run('ip', ['netns', 'exec', node.ovs.netns, ...command], { env: variables, reject: false });
  };

  it('is taken over without a restart where the key allows it', async () => {
    await put('ipamTimeout: 20\n');
    await node.startServer(env());
    await put('draining: true\n');
    await until(async () => (await add()).json.msg?.includes('draining is on'), 'the server plugs nothing new');
    await put('metrics: "127.0.0.1:1"\n');
    await until(async () => (await add()).exit === 0, 'the server plugs again');
    match(await node.log(), /"keys":\["metrics"\],"msg":"these keys of the configuration are taken over at the next start only"/);
  });

  it('stays in force while its file is refused, also in a server that starts then; /readyz, the log and `doctor` say so', async () => {
    const problem = /config\.yaml:3: unknown key "ipamTimeut"; the keys here are socket, /;
    await put('ipamTimeout: 20\n');
    await until(async () => (await ready()) === 'ok', 'it is ready');
    await put('ipamTimeut: 3\n');
    await until(async () => problem.test(await ready()), '/readyz says what is wrong');
    equal((await add()).exit, 0);
    await node.server.stop();
    await node.startServer(env());
    match(await ready(), problem);
    match(
      await node.log(),
      /"problems":\["\S+config\.yaml:3: unknown key [^\n]*"msg":"configuration refused; what was in force stays in force"/,
    );
    await using attached = await attach(node, network(node));
    const doctor = await smartnic('doctor');
    equal(doctor.exitCode, 1);
    match(
      doctor.stdout,
      /^FAIL +configuration +\S+config\.yaml:3: unknown key "ipamTimeut".*\n +-> correct it .*last good one is in force/m,
    );
    match(doctor.stdout, /^ok +CNI server /m);
    const [first = '', ...rows] = (await smartnic('attachments')).stdout.split('\n');
    match(first, /^! \S+config\.yaml:3: unknown key "ipamTimeut".*; this is by the last good configuration$/);
    deepEqual(rows.filter((line) => line.includes(attached.port)).length, 1);
    await put('ipamTimeout: 20\n');
    await until(async () => (await ready()) === 'ok', 'it is ready again without a restart');
  });
});
