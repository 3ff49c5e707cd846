// `doctor`: examines one after the other everything that a node needs, and says what to do where something is missing.
import { align } from '../../host/base/table.ts';
import { examineConfiguration } from './configuration.ts';
import type { Examination, Finding, Patient } from './finding.ts';
import { examineForwarder } from './forwarder.ts';
import { examineJournal } from './journal.ts';
import { examineNics } from './nics.ts';
import { examineOpenVswitch } from './open-vswitch.ts';
import { examineApiServer, examineExecutable, examineIpam, examineKubelet, examineServer } from './runtime.ts';

/** In the order of their output: what everything else needs comes first. */
const examinations: readonly Examination[] = [
  examineConfiguration,
  examineServer,
  examineExecutable,
  examineJournal,
  examineOpenVswitch,
  examineIpam,
  examineApiServer,
  examineKubelet,
  examineNics,
  examineForwarder,
];

export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const all = examinations.map(async (each) => await each(patient));
  return (await Promise.all(all)).flat();
}

/** One line per finding, with the remedy below it. */
export function render(findings: readonly Finding[]): string {
  const table = align(findings.map(({ level, topic, words }) => [level === 'ok' ? 'ok' : level.toUpperCase(), topic, words]));
  const lines = findings.flatMap(({ remedy }, at) => [table[at] ?? '', ...(remedy === undefined ? [] : [`      -> ${remedy}`])]);
  const count = (level: Finding['level']) => findings.filter((one) => one.level === level).length;
  return [...lines, '', `${count('fail')} failed, ${count('warn')} warnings, ${count('ok')} ok`, ''].join('\n');
}

export function hasFailed(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level === 'fail');
}
