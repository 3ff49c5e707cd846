// Runtimes that give up and kill their executable while its request is carried out, and a server that is told to stop meanwhile.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { refused, succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { writeIpam } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { type CniCall, containerId, network, startNode, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

describe('a call that its runtime gave up', function () {
  this.timeout(60_000);
  let node: TestNode;
  forAllTests(
    () => startNode({ settings: 'hookDir: DIR/hooks\n' }),
    async (made) => {
      node = made;
      await mkdir(join(node.dir, 'hooks'));
      // Each hangs in the command that its file names, and says so.
      const hang = (command: string) => `if [ "$1" = '${command}' ]; then echo $$ > ${node.dir}/hangs; sleep 1000; fi`;
      await writeIpam(node, 'hangs-in-add', `set -- $CNI_COMMAND\n${hang('ADD')}\nexec /usr/lib/cni/host-local`);
      await writeIpam(
        node,
        'slow-in-del',
        `[ $CNI_COMMAND = DEL ] && echo $$ > ${node.dir}/hangs && sleep 1\nexec /usr/lib/cni/host-local`,
      );
      await writeFile(join(node.dir, 'hooks/hangs'), `#!/bin/sh\n${hang('before-plug')}\n`);
      await chmod(join(node.dir, 'hooks/hangs'), 0o755);
    },
  );
  afterEach(async () => {
    await until(async () => (await node.leftovers()).length === 0, 'nothing is left');
    await rm(join(node.dir, 'hangs'), { force: true });
  });

  const withIpam = (type: string, more: object = {}) => {
    const { ipam, ...rest } = network(node, more) as { readonly ipam: object };
    return { ...rest, ipam: { ...ipam, type } };
  };
  /** The pid of what hangs. */
  const hanging = async (): Promise<number> => {
    const read = async () => Number(await readFile(join(node.dir, 'hangs'), 'utf8').catch(() => '0'));
    await until(async () => (await read()) > 0, 'something hangs');
    return await read();
  };
  /** It, or what it started. */
  const lives = async (pid: number): Promise<boolean> => {
    const { stdout } = await run('ps', ['-eo', 'pgid=,stat=']);
    return stdout.split('\n').some((line) => new RegExp(`^ *${pid} +[^Z]`).test(line));
  };
  /** The executable, as a runtime starts it. */
  const start = (command: string, { containerId: id, netns = '', config }: CniCall): ChildProcess => {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: `${join(node.dir, 'ipam')}:/usr/lib/cni`,
      SMARTNIC_SOCKET: node.socket,
    };
    const child = spawn(join(import.meta.dirname, '../../dist/smartnic'), { env, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin?.end(JSON.stringify(config));
    return child;
  };
  const took = async (work: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };

  for (const [what, config] of [
    ['IPAM hangs', () => withIpam('hangs-in-add')],
    ['a hook hangs', () => network(node, { hooks: true })],
  ] as const)
    it(`is cancelled when it is an ADD: ${what}, its program is ended, and the DEL behind it is served at once`, async () => {
      await using pod = await node.pod();
      const call = { containerId: containerId(), netns: pod.path, config: config() };
      const child = start('ADD', call);
      const pid = await hanging();
      child.kill('SIGKILL');
      const ms = await took(async () => succeeded(await node.cni('DEL', call)));
      assert.ok(ms < 2500, `the DEL took ${ms} ms`);
      assert.equal(await lives(pid), false);
      assert.deepEqual(await node.leftovers(), []);
      assert.match(await node.log(), /"command":"ADD".*"code":11.*the runtime gave up before it had the answer/);
    });

  it('is cancelled when it is an ADD and no DEL comes: nothing of it is left', async () => {
    await using pod = await node.pod();
    const child = start('ADD', { containerId: containerId(), netns: pod.path, config: withIpam('hangs-in-add') });
    await hanging();
    child.kill('SIGTERM');
    await until(async () => (await node.leftovers()).length === 0, 'it is undone');
    assert.deepEqual(await pod.ip('link', 'show', 'type', 'veth'), []);
  });

  it('goes on to its end when it is a DEL', async () => {
    await using attached = await attach(node, withIpam('slow-in-del'));
    const child = start('DEL', attached.call);
    const pid = await hanging();
    child.kill('SIGKILL');
    assert.ok(await lives(pid));
    await until(async () => (await node.leftovers()).length === 0, 'it is done');
  });

  it('keeps no server from stopping', async () => {
    await using pod = await node.pod();
    const call = { containerId: containerId(), netns: pod.path, config: withIpam('hangs-in-add') };
    const child = start('ADD', call);
    await hanging();
    child.kill('SIGKILL');
    const ms = await took(async () => assert.equal(await node.server.stop(), 0));
    assert.ok(ms < 3000, `the stop took ${ms} ms`);
    await node.startServer();
    succeeded(await node.cni('DEL', call));
  });

  it('or that waits for ever keeps no server from stopping in its time; the next one puts right what is left', async () => {
    await using pod = await node.pod();
    const call = { containerId: containerId(), netns: pod.path, config: withIpam('hangs-in-add') };
    const answered = node.cni('ADD', call);
    await hanging();
    const ms = await took(async () => assert.equal(await node.server.stop(), 0));
    assert.ok(ms < 16_000, `the stop took ${ms} ms`);
    refused(await answered, 11, /this server is being stopped/);
    await node.startServer();
  });

  it('is nothing to a stop when nothing runs', async () => {
    const ms = await took(async () => assert.equal(await node.server.stop(), 0));
    assert.ok(ms < 1000, `the stop took ${ms} ms`);
    await node.startServer();
  });
});
