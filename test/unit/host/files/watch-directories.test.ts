import { ok } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchDirectories } from '../../../../host/files/watch-directories.ts';
import { until } from '../../../support/until.ts';

describe('a watch of directories', () => {
  it('goes on when its directory is removed and made anew, also under the same inode number', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'w-'));
    const directory = join(parent, 'watched');
    mkdirSync(directory);
    let heard = 0;
    const watch = watchDirectories([directory], 60_000, () => {
      heard += 1;
    });
    let same = 0;
    try {
      for (let time = 0; time < 10; time++) {
        const { ino } = statSync(directory);
        rmSync(directory, { recursive: true });
        mkdirSync(directory);
        if (statSync(directory).ino === ino) same += 1;
        await sleep(50);
        const before = heard;
        writeFileSync(join(directory, 'file'), '');
        await until(async () => heard > before, 'the file is heard of');
      }
      if (same === 0) console.log('      not shown: this file system gives an inode number out again only later');
    } finally {
      watch.close();
      rmSync(parent, { recursive: true });
    }
    ok(heard >= 10);
  });
});
