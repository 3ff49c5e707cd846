import { equal, match, rejects } from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askOnce, whyUnanswered } from '../../../../host/files/unix-client.ts';
import { type Server, serveSocket } from '../../../../host/files/unix-server.ts';

describe('a unix socket', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sn-socket-'));
  const path = join(dir, 'run/socket');
  let server: Server;
  before(async () => {
    server = await serveSocket(path, (socket) =>
      socket.on('data', (question) => {
        socket.write(`${question}, `);
        if (`${question}` === 'flood') socket.end(Buffer.alloc(16 * 1024 * 1024 + 1));
        else if (`${question}` !== 'silence') socket.end('and its answer');
        else setTimeout(() => socket.destroy(), 1000).unref();
      }),
    );
  });
  after(() => {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('is ours alone, and its directory too', () => {
    equal((statSync(path).mode & 0o777).toString(8), '600');
    equal((statSync(join(dir, 'run')).mode & 0o777).toString(8), '700');
  });

  it('is answered where somebody serves it; else the kernel says why not', async () => {
    equal(await whyUnanswered(path), undefined);
    equal((await whyUnanswered(join(dir, 'none')))?.code, 'ENOENT');
    writeFileSync(join(dir, 'file'), '');
    equal((await whyUnanswered(join(dir, 'file')))?.code, 'ECONNREFUSED');
  });

  it('is asked a question and answers it, within a time', async () => {
    equal(`${await askOnce(path, 'a question', 1000)}`, 'a question, and its answer');
    await rejects(askOnce(path, 'silence', 50), (error: NodeJS.ErrnoException) => {
      match(error.message, /^nothing came within 50 ms$/);
      return error.code === 'ETIMEDOUT';
    });
    await rejects(askOnce(join(dir, 'none'), 'x', 1000), { code: 'ENOENT' });
  });

  it('is not read without end', async () => {
    await rejects(askOnce(path, 'flood', 60_000), { code: 'EMSGSIZE', message: 'the answer is longer than 16777216 bytes' });
  });

  it('takes the place of one that nobody serves any more', async () => {
    writeFileSync(join(dir, 'run/left'), '');
    const next = await serveSocket(join(dir, 'run/left'), (socket) => socket.end());
    equal(await whyUnanswered(join(dir, 'run/left')), undefined);
    next.close();
  });
});
