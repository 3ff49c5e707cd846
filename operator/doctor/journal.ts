// Can the journal be read, so that everything that was attached can be removed again?
import { about, type Examination } from './finding.ts';

const { ok, fail } = about('journal');

export const examineJournal: Examination = async ({ journal }) => {
  const problems = journal.problems();
  if (problems.length === 0) return [ok(`${journal.list().length} attachments, and every entry can be read`)];
  const remedy = 'is the disk well? an entry of a newer version needs that version; else move the file away once its pod is gone';
  return problems.map((problem) => fail(problem, remedy));
};
