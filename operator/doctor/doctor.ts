// `doctor`: examines everything that a node needs and that can be seen from where the doctor runs, and says what to do where something is missing.
import { messageOf } from '../../host/base/errors.ts';
import { align } from '../../host/base/table.ts';
import { examineAttachments } from './attachments.ts';
import { examineConfiguration } from './configuration.ts';
import { examineFiles } from './files.ts';
import { about, type Examination, type Finding, type Patient, type Place, places } from './finding.ts';
import { examineForwarder } from './forwarder.ts';
import { examineIpam } from './ipam.ts';
import { examineIpv6 } from './ipv6.ts';
import { examineMainNetwork } from './main-network.ts';
import { examineNics } from './nics.ts';
import { examineOpenVswitch } from './open-vswitch.ts';
import { examinePools } from './pools.ts';
import { examineApiServer, examineExecutable, examineKubelet } from './runtime.ts';
import { examineServer } from './server.ts';

/** The device plugin sees neither the runtime nor Open vSwitch, and needs neither. */
const besideServer: readonly Place[] = ['cni', 'node'];

/** In the order of their output: what everything else needs comes first. */
const examinations: readonly (readonly [Examination, readonly Place[]])[] = [
  [examineConfiguration, besideServer],
  [examineServer, besideServer],
  [examineMainNetwork, besideServer],
  [examineExecutable, besideServer],
  [examineFiles, besideServer],
  [examineOpenVswitch, besideServer],
  [examineAttachments, besideServer],
  [examineIpam, besideServer],
  [examineIpv6, besideServer],
  [examineApiServer, besideServer],
  [examineKubelet, places],
  [examinePools, places],
  [examineNics, places],
  [examineForwarder, besideServer],
];

export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const here = examinations.filter(([, seenFrom]) => seenFrom.includes(patient.place));
  return (await Promise.all(here.map(async ([each]) => await each(patient).catch(brokenOff)))).flat();
}

/** One that breaks off must not hide what the others found. */
function brokenOff(error: unknown): readonly Finding[] {
  return [
    about('doctor').fail(
      `an examination broke off: ${messageOf(error)}`,
      'run it as root; else it is a fault of ours: report it',
    ),
  ];
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
