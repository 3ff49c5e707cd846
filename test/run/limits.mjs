// mocha's interface `describe`, `it`, with the limit in time of each test and hook by the folder that it lies in. A test that needs more says
// why.
import { relative } from 'node:path';
import Mocha from 'mocha';

const top = new URL('../..', import.meta.url).pathname;

/** Seconds. A busy machine takes three times what a quiet one does, and the virtual machine ten times what this one does. */
const limits = {
  'test/unit': 60,
  'test/compat': 60,
  'test/machine': 120,
  'test/lab': 900,
  'test/cluster': 600,
};

export default function bddWithLimits(root) {
  Mocha.interfaces.bdd(root);
  root.on('pre-require', (_context, file) => {
    const folder = relative(top, file).split('/').slice(0, 2).join('/');
    // mocha tells of all files before it loads the first one. So files of several folders in one run all have the longest limit. The limit of
    // mocha's --timeout is the least, for a machine that is slower still.
    root.timeout(Math.max(root.timeout(), (limits[folder] ?? 0) * 1000));
  });
}
