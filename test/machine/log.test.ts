// The server's log goes to a full disk, to a pipe whose reader is gone, or to a pipe that nobody empties. The server goes on, and it stops when
// it is told to.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { network, startNode, type TestNode } from '../support/node.ts';
import { skipWithoutOvs } from '../support/ovs.ts';
import { until } from '../support/until.ts';

describe('a log that can not be written', function () {
  this.timeout(30_000);
  let node: TestNode;
  before(async function () {
    skipWithoutOvs.call(this);
    node = await startNode({ server: false });
  });
  after(async () => await node?.[Symbol.asyncDispose]());

  /** Starts what ships, with this for its stderr; the descriptor is closed here. */
  const serve = async (stderr: number) => {
    const executable = join(import.meta.dirname, '../../dist/smartnic-cni.mjs');
    const env = {
      ...process.env,
      SMARTNIC_CONFIG: join(node.dir, 'config.yaml'),
      SMARTNIC_SOCKET: node.socket,
      SMARTNIC_STATE_DIR: node.stateDir,
    };
    const server = spawn('ip', ['netns', 'exec', node.ovs.netns, process.execPath, executable], {
      env,
      stdio: ['ignore', 'ignore', stderr],
    });
    closeSync(stderr);
    await until(async () => existsSync(node.socket), 'the server serves');
    return server;
  };
  const servesAndStops = async (server: Awaited<ReturnType<typeof serve>>) => {
    // At the level debug each of these writes some lines.
    for (let times = 0; times < 15; times++) {
      await using attached = await attach(node, network(node));
      succeeded(await attached.del());
    }
    assert.equal(server.exitCode, null);
    server.kill('SIGTERM');
    assert.deepEqual(await once(server, 'exit'), [0, null]);
  };

  it('because its disk is full', async () => {
    const directory = join(node.dir, 'logs');
    await mkdir(directory);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
    await using _ = { [Symbol.asyncDispose]: async () => void (await run('umount', ['--lazy', directory])) };
    const server = await serve(openSync(join(directory, 'log'), 'a'));
    await assert.rejects(writeFile(join(directory, 'filler'), Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
    await servesAndStops(server);
  });

  it('because nobody reads it any more', async () => {
    const { reader, writer } = await pipe('gone');
    const server = await serve(writer);
    closeSync(reader);
    await servesAndStops(server);
  });

  it('because its reader hangs', async () => {
    const { reader, writer } = await pipe('hangs');
    fillPipe(join(node.dir, 'hangs'));
    const server = await serve(writer);
    await servesAndStops(server);
    closeSync(reader);
  });

  function fillPipe(path: string): void {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    assert.throws(() => writeFileSync(fd, Buffer.alloc(1 << 20)), { code: 'EAGAIN' });
    closeSync(fd);
  }

  async function pipe(name: string) {
    const path = join(node.dir, name);
    await run('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return { reader, writer: openSync(path, 'w') };
  }
});
