// Accepts a directory that only we can use, and never one that everybody can use.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePrivateDirectory } from '../../../../host/files/private-directory.ts';

describe('a private directory', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sn-private-'));
  after(() => rmSync(dir, { recursive: true, force: true }));

  it('is made, and closed to others when it was there', () => {
    const path = join(dir, 'a/b');
    ensurePrivateDirectory(path);
    chmodSync(path, 0o755);
    ensurePrivateDirectory(path);
    assert.equal(statSync(path).mode & 0o7777, 0o700);
  });

  for (const path of ['/tmp', '/run', '/var/run', '/', '/var/lib']) {
    it(`is not ${path}, which is left as it is`, () => {
      const before = statSync(path).mode;
      assert.throws(() => ensurePrivateDirectory(path), /a directory that others use/);
      assert.equal(statSync(path).mode, before);
    });
  }
});
