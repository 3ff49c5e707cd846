import { strict as assert } from 'node:assert';
import { existsSync, mkdirSync } from 'node:fs';
import { run, start } from '../../tools/program.ts';
import { nameCluster, sweepLeftovers } from './leftovers.ts';
import { hierarchies, makeCgroups, removeCgroups } from './namespaces.ts';

describe('what a killed cluster leaves', () => {
  it('is removed by the next one, and that of living ones stays', async () => {
    const other = start('sleep', ['60'], { reject: false });
    const [theirs, own] = [nameCluster(other.pid), nameCluster()];
    const isThere = async ({ folder, cgroup }: typeof own) =>
      [folder, ...(await hierarchies()).map((path) => `${path}/${cgroup}`)].map((path) => existsSync(path));
    try {
      for (const { folder, cgroup } of [theirs, own]) {
        mkdirSync(`${folder}/disk`, { recursive: true });
        await makeCgroups(`${cgroup}/kubepods`);
      }
      await sweepLeftovers();
      assert.ok((await isThere(theirs)).every(Boolean));
      other.kill('SIGKILL');
      await other;
      const swept = await sweepLeftovers();
      assert.ok(swept.includes(theirs.cgroup));
      assert.ok(!(await isThere(theirs)).some(Boolean));
      assert.ok((await isThere(own)).every(Boolean));
    } finally {
      other.kill('SIGKILL');
      await removeCgroups(own.cgroup);
      await run('rm', ['-r', own.folder]);
    }
  });
});
