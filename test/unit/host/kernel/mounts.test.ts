// Mounts and their flags. Changes are made only in a mount namespace of the test's own.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forbidSymlinks, mountOptions } from '../../../../host/kernel/mounts.ts';
import { runSync } from '../../../../tools/program.ts';
import { needsRoot } from '../../../support/root.ts';

describe('a mount', () => {
  it('is found by its very place, the last one of several', () => {
    const text = [
      '31 1 0:26 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw',
      '90 31 0:44 / /run/a rw - tmpfs tmpfs rw',
      '91 90 0:45 / /run/a ro,nosymfollow - tmpfs tmpfs rw',
    ].join('\n');
    assert.deepEqual(mountOptions(text, '/run'), ['rw', 'nosuid', 'nodev']);
    assert.deepEqual(mountOptions(text, '/run/a'), ['ro', 'nosymfollow']);
    assert.equal(mountOptions(text, '/run/b'), undefined);
  });

  it('must be one for its symbolic links to be forbidden', () => {
    assert.throws(() => forbidSymlinks('/proc/self/fd'), /^Error: \/proc\/self\/fd is no mount of its own$/);
  });

  it("leads nowhere by a container's symbolic link to another one's socket, and to its own socket as before", async function () {
    needsRoot.call(this, 'to mount');
    const directory = mkdtempSync(join(tmpdir(), 'sn-mounts-'));
    const [own, other] = ['a', 'b'].map((name) => join(directory, name));
    if (own === undefined || other === undefined) return;
    for (const path of [own, other]) mkdirSync(path);
    const server = createServer((socket) => socket.destroy()).listen(join(other, 'vhost.sock'));
    try {
      await new Promise((resolve) => server.once('listening', resolve));
      symlinkSync('../b/vhost.sock', join(own, 'vhost.sock'));
      const script = `
        import { connect } from 'node:net';
        import { readFileSync } from 'node:fs';
        import { forbidSymlinks, mountOptions } from '${join(import.meta.dirname, '../../../../host/kernel/mounts.ts')}';
        const reach = (path) => new Promise((resolve) => {
          const socket = connect(path);
          socket.once('connect', () => resolve(socket.destroy() && 'reached'));
          socket.once('error', ({ code }) => resolve(code));
        });
        const look = async () => [await reach('${own}/vhost.sock'), await reach('${other}/vhost.sock')];
        const before = await look();
        forbidSymlinks('${directory}');
        forbidSymlinks('${directory}');
        console.log(JSON.stringify({ before, after: await look(), options: mountOptions(readFileSync('/proc/self/mountinfo', 'utf8'), '${directory}') }));`;
      const shell = `mount --bind "$1" "$1" && mount -o remount,bind,nosuid,noexec "$1" && exec "$2" --input-type=module -e "$3"`;
      const args = ['--mount', '--propagation', 'private', 'sh', '-c', shell, 'sh', directory, process.execPath, script];
      // This process is also the server, so it must not wait here; the kernel's backlog accepts the connection.
      const { before, after, options } = JSON.parse(runSync('unshare', args).stdout);
      assert.deepEqual(
        [before, after],
        [
          ['reached', 'reached'],
          ['ELOOP', 'reached'],
        ],
      );
      for (const option of ['nosuid', 'noexec', 'nosymfollow']) assert.ok(options.includes(option), options.join());
    } finally {
      server.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
