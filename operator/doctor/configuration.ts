// Is the node's configuration in force as it stands in its file?
import { problemsOf } from '../../host/files/last-good.ts';
import { about, type Examination, type Finding } from './finding.ts';

const { ok, fail } = about('configuration');
const reference = 'docs/reference/node.md has the keys';

export const examineConfiguration: Examination = async ({ refused }) => {
  if (refused.length === 0) return [ok('can be read')];
  return refused.map((words) =>
    fail(words, `correct it (${reference}); meanwhile the last good one is in force, and so it is here`),
  );
};

/** It can't be read, and no last good one is known. */
export function badConfiguration(error: unknown): readonly Finding[] {
  return problemsOf(error).map((words) => fail(words, `correct it (${reference}); until then nothing else is examined`));
}
