// Can the server's own files be read: the journal, so that everything that was attached can be removed again, and what says whose each VF is?
import { findNotUnderstood } from '../../cni/teardown/not-understood.ts';
import { about, type Examination } from './finding.ts';

export const examineFiles: Examination = async (patient) => {
  const problems = await findNotUnderstood(patient);
  const journal = problems.some(({ topic }) => topic === 'journal')
    ? []
    : [about('journal').ok(`${patient.journal.list().length} attachments, and every entry can be read`)];
  return [...journal, ...problems.map(({ topic, words, remedy }) => about(topic).fail(words, remedy))];
};
