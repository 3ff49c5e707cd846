// A pod that fills the directory of its vhost-user socket, as root of its container: very many files, very deep folders, and files that it goes
// on making. Real files on a tmpfs, as /run is.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyOrSetAside, removeAllAside, removeAside, setAside } from '../../../host/files/set-aside.ts';
import { run } from '../../../tools/program.ts';
import { needsRoot } from '../../support/root.ts';

describe('the directory of a socket that a pod filled', () => {
  let folder = '';
  before(async function () {
    needsRoot.call(this, 'to mount a tmpfs');
    folder = await mkdtemp(join(tmpdir(), 'sn-dirs-'));
    await run('mount', ['-t', 'tmpfs', 'none', folder]);
  });
  after(async () => {
    if (folder === '') return;
    await run('umount', ['--lazy', folder]);
    await rm(folder, { recursive: true });
  });

  const make = () => {
    const path = join(folder, '0000:41:10.0');
    mkdirSync(path, { recursive: true });
    return path;
  };

  it('is empty at once, with its owner and mode, and the rest goes one by one: 60 000 files', async () => {
    const path = make();
    await chown(path, 107, 108);
    await chmod(path, 0o3770);
    for (let n = 0; n < 60_000; n++) writeFileSync(`${path}/f${n}`, '');
    const aside = setAside(path);
    assert.ok(aside !== undefined);
    assert.deepEqual(readdirSync(path), []);
    const { mode, uid, gid } = statSync(path);
    assert.deepEqual([mode & 0o7777, uid, gid], [0o3770, 107, 108]);
    const others = join(folder, '0000:41:10.1');
    mkdirSync(others);
    let served = 0;
    const removing = removeAside(aside).then(() => true);
    // The server goes on with others meanwhile.
    while (!(await Promise.race([removing, new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]))) {
      if (served === 0) assert.ok(setAside(others));
      served += 1;
    }
    assert.ok(served > 100);
    assert.ok(!existsSync(aside));
  });

  it('is removed, however deep its folders are: deeper than a path may be long, and than a process may have descriptors', async () => {
    const path = make();
    const deep =
      "import os,sys\nos.chdir(sys.argv[1])\nfor i in range(3000):\n  os.mkdir('d'*200); open('x','w').close(); os.chdir('d'*200)";
    await run('python3', ['-c', deep, path]);
    const aside = setAside(path);
    assert.ok(aside !== undefined);
    await removeAside(aside);
    assert.deepEqual(await readdir(path), []);
  });

  it('is removed with its symbolic links, and what they point to stays', async () => {
    const path = make();
    writeFileSync(join(folder, 'precious'), 'x');
    await run('ln', ['-s', join(folder, 'precious'), folder, '/etc', path]).catch(() => undefined);
    await run('ln', ['-s', folder, join(path, 'folder')]);
    const aside = setAside(path);
    assert.ok(aside !== undefined);
    await removeAside(aside);
    assert.ok(existsSync(join(folder, 'precious')) && existsSync('/etc/passwd'));
  });

  it('is left when somebody goes on filling it, and removed at the next start', async () => {
    const path = make();
    writeFileSync(join(path, 'vhost.sock'), '');
    const aside = setAside(path);
    assert.ok(aside !== undefined);
    writeFileSync(join(aside, 'later'), '');
    assert.deepEqual(readdirSync(path), [], 'who has the old one meets nobody in the new one');
    await removeAllAside(folder);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('.')),
      [],
    );
  });

  it('stays what it is where only a few files are in it, and may be missing', () => {
    const path = make();
    const { ino } = statSync(path);
    for (let n = 0; n < 64; n++) writeFileSync(`${path}/f${n}`, '');
    assert.equal(emptyOrSetAside(path), undefined);
    assert.deepEqual([readdirSync(path), statSync(path).ino], [[], ino]);
    mkdirSync(join(path, 'folder'));
    assert.ok(emptyOrSetAside(path));
    assert.notEqual(statSync(path).ino, ino);
    for (let n = 0; n < 65; n++) writeFileSync(`${path}/f${n}`, '');
    assert.ok(emptyOrSetAside(path));
    assert.equal(emptyOrSetAside(join(folder, 'none')), undefined);
  });
});
