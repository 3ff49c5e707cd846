// Whether a process still has a unix socket open, and that it does not notice the question.
import { equal } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSocketOpen } from '../../../../host/files/socket-owner.ts';

describe("a unix socket's file", () => {
  let dir: string;
  let path: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'so-'));
    path = join(dir, 'vhost.sock');
  });
  afterEach(async () => await rm(dir, { recursive: true }));

  /** Without a graceful end, the file stays. */
  const serveInChild = async (): Promise<ChildProcess> => {
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout ?? child, 'data');
    return child;
  };

  it('tells that a process serves it, and that it was killed', async () => {
    const child = await serveInChild();
    equal(isSocketOpen(path), true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    equal(isSocketOpen(path), false);
  });

  it('is looked at without a connection, however often', async () => {
    let connections = 0;
    const server = createServer(() => void connections++).listen(path);
    await once(server, 'listening');
    for (let times = 0; times < 1000; times++) equal(isSocketOpen(path), true);
    server.close();
    await once(server, 'close');
    equal(connections, 0);
    equal(isSocketOpen(path), false);
  });

  it('is no socket where it is missing, a file, or a link to somebody who serves', async () => {
    equal(isSocketOpen(path), false);
    const other = join(dir, 'other');
    const server = createServer().listen(other);
    await once(server, 'listening');
    await symlink(other, path);
    equal(isSocketOpen(path), false);
    server.close();
    await rm(path);
    await writeFile(path, '');
    equal(isSocketOpen(path), false);
    equal(isSocketOpen(`${dir}/${'x'.repeat(200)}`), false);
  });
});
