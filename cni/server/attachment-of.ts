// Which attachment may have a VF, by the journal. Pure but for the journal.
import type { JournalView } from '../attachment/journal.ts';

/** In words; undefined when none has it. An entry that nobody understands may be the one. An ADD that is under way does not have it yet. */
export function attachmentOf(journal: Pick<JournalView, 'list' | 'problems'>, device: string): string | undefined {
  const entry = journal.list().find(({ attachment, phase }) => phase !== 'adding' && attachment.reserved?.id === device);
  if (entry !== undefined) return `${entry.attachment.ifname} of container ${entry.attachment.containerId} has that VF`;
  const [problem] = journal.problems();
  return problem === undefined ? undefined : `its attachment may be the one of which ${problem}`;
}
