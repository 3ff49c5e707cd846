// mocha's interface `describe`, `it`, with the limit in time of each test and hook by the folder that it lies in. A test that needs more says
// why.
import { relative } from 'node:path';
import Mocha from 'mocha';

const top = new URL('../..', import.meta.url).pathname;

/** Seconds. A busy machine takes three times what a quiet one does, and the virtual machine ten times what this one does. */
const limits = {
  'test/unit': 60,
  'test/machine': 120,
  'test/lab': 900,
  'test/cluster': 600,
};

export default function bddWithLimits(root) {
  Mocha.interfaces.bdd(root);
  /** By mocha's --timeout: the least, for a machine that is slower still. */
  const least = root.timeout();
  root.on('pre-require', (_context, file) => {
    const folder = relative(top, file).split('/').slice(0, 2).join('/');
    root.timeout(Math.max(least, (limits[folder] ?? 0) * 1000));
  });
}
