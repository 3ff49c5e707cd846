// The log reports each change of the offer once.
import assert from 'node:assert/strict';
import { newsOf, newsOfVfs, noTroubles, type Troubles } from '../../../device-plugin/news.ts';
import type { Finding } from '../../../inventory/health/health.ts';
import { someVf } from '../../support/resources.ts';

const finding: Finding = { resource: 'r', address: '0000:01:01.0', reason: 'driver-wrong', words: 'bound to x', told: true };

describe('the news of an offer', () => {
  const lines = (before: Partial<Troubles>, after: Partial<Troubles>) =>
    newsOf({ ...noTroubles, ...before }, { ...noTroubles, ...after }).map(({ level, words }) => `${level} ${words}`);

  const cases: Readonly<Record<string, readonly [Partial<Troubles>, Partial<Troubles>, readonly string[]]>> = {
    'are none when nothing has changed': [
      { findings: [finding], conflicts: ['c'] },
      { findings: [{ ...finding }], conflicts: ['c'] },
      [],
    ],
    'say what is wrong with a VF': [{}, { findings: [finding] }, ['warn VF is unhealthy']],
    'say that kubelet is not told, and when it is': [
      { findings: [{ ...finding, told: false }] },
      { findings: [finding] },
      ['warn VF is unhealthy', 'info VF has recovered from this, or is not offered any more'],
    ],
    'say that a VF has recovered': [{ findings: [finding] }, {}, ['info VF has recovered from this, or is not offered any more']],
    'say what can not be read or written, and when it can be read again': [
      { unread: ['a: EIO'], fileProblems: ['old'] },
      { unread: ['b: EIO'], fileProblems: ['old', 'full'] },
      ['error full', 'error b: EIO; what depends on it is unhealthy or stays as it was', 'info no longer so: a: EIO'],
    ],
    'say which pools fight': [{ conflicts: ['a'] }, { conflicts: ['a', 'b'] }, ['error b']],
  };
  for (const [name, [before, after, expected]] of Object.entries(cases))
    it(name, () => assert.deepEqual(lines(before, after), expected));

  it('of a look at the machine name the VFs that came, went and changed', () => {
    const [one, two] = [someVf(1, 0), someVf(1, 1)];
    assert.deepEqual(newsOfVfs({ added: [one, two], removed: [], changed: [{ before: one, after: one }] }), [
      { level: 'info', words: 'VFs added', about: { vfs: [one.address, two.address] } },
      { level: 'info', words: 'VFs changed', about: { vfs: [one.address] } },
    ]);
  });
});
