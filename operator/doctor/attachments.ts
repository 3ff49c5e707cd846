// Can pods be reached through the interfaces that they have?
import { type Condition, findConditions, type Kind } from '../../cni/teardown/condition.ts';
import { about, type Examination } from './finding.ts';

const { ok, warn, fail } = about('attachments');

export const examineAttachments: Examination = async (patient) => {
  // How databases are that don't answer is another examination's business.
  const { all } = await findConditions(patient);
  const found = [
    ...ofKind(all, 'cut off').map((words) => fail(words, cutOff)),
    ...ofKind(all, 'left over').map((words) => warn(words, leftOver)),
    ...ofKind(all, 'not known').map((words) => warn(words, unknown)),
  ];
  const well = all.filter(({ kind }) => kind === 'well').length;
  return found.length > 0 ? found : [ok(all.length === 0 ? 'none on this node' : `${well} pod interfaces, all of them plugged`)];
};

const cutOff =
  'these pods live and are cut off. The server puts back within a minute what it can: look again, then delete them, so that they are plugged anew. Who removed it?';
const leftOver =
  'the server takes these away by itself; if they stay for minutes, its log says why (`smartnic.mjs repair --dry-run`)';
const unknown = 'look again when Open vSwitch answers';

/** One line for each reason, with the first three of those that it concerns. */
function ofKind(all: readonly Condition[], kind: Kind): readonly string[] {
  const concerned = all.filter((one) => one.kind === kind);
  return [...Map.groupBy(concerned, ({ attachment, words }) => words.replaceAll(attachment.bridgePort, 'of its own'))].map(
    ([words, those]) => `${those.length} of ${all.length}: ${words} (${nameThem(those)})`,
  );
}

function nameThem(those: readonly Condition[]): string {
  const names = those.slice(0, 3).map(({ attachment: { pod, containerId, ifname, bridge } }) => {
    const name = pod.podNamespace && pod.podName ? `${pod.podNamespace}/${pod.podName}` : containerId.slice(0, 12);
    return `${name} ${ifname} on ${bridge}`;
  });
  return names.join(', ') + (those.length > 3 ? ` and ${those.length - 3} more` : '');
}
