// Is the node's configuration in force as it stands in its file?
import { problemsOf } from '../../host/files/last-good.ts';
import { about, type Examination, type Finding, type Patient } from './finding.ts';

const { ok, warn, fail } = about('configuration');
const reference = 'docs/reference/node.md has the keys';

export const examineConfiguration: Examination = async ({ refused, settings }) => {
  if (refused.length === 0) return [ok('can be read'), bounds(settings.bounds)];
  return refused.map((words) =>
    fail(words, `correct it (${reference}); meanwhile the last good one is in force, and so it is here`),
  );
};

function bounds(rules: Patient['settings']['bounds']): Finding {
  if (rules !== undefined) return ok(`has ${rules.length} rules that bound networks`);
  return warn(
    'has no bounds on networks: whoever may write one chooses bridge, VLAN, trust and IPAM program on this node',
    'where tenants may write NetworkAttachmentDefinitions, write rules into "bounds" (docs/reference/bounds.md)',
  );
}

/** It can't be read, and no last good one is known. */
export function badConfiguration(error: unknown): readonly Finding[] {
  return problemsOf(error).map((words) => fail(words, `correct it (${reference}); until then nothing else is examined`));
}
