// The same as endings.test.ts, often enough to see what happens to one start in a thousand.
import { deepEqual } from 'node:assert/strict';
import { findEndless, servers, shortPrograms } from '../support/endings.ts';

describe('what is shipped, on busy CPUs', function () {
  this.timeout(0); // each program has a limit of its own

  it('ends when it has done its work, 10,000 of 10,000 times', async () => {
    deepEqual(await findEndless(shortPrograms, 10_000), []);
  });

  it('ends when it is told to, 3000 of 3000 servers', async () => {
    deepEqual(await findEndless(servers, 3000), []);
  });
});
