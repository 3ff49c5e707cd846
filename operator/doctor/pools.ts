// Are the pools in force as they stand in their file, and what is offered?
import { existsOnHost } from '../../host/kernel/sysfs.ts';
import { lastGoodFile } from '../../inventory/config/last-good.ts';
import { noPf } from '../../inventory/offer/no-pf.ts';
import { about, type Examination, type Patient } from './finding.ts';
import type { Survey } from './survey.ts';

const { ok, warn, fail } = about('pools');

export const examinePools: Examination = async (patient) => {
  const found = await patient.survey();
  const { config, refused, problems } = found.pools;
  if (isUnused(patient, found)) return [ok(`there is no ${patient.pools}, and no VF either: nothing is offered`)];
  const remark = config && noPf(config, found.nics);
  return [
    ...refused.map((words) => fail(words, remedyFor(found))),
    ...problems.map((words) => fail(words, `remove ${lastGoodFile}; the device plugin writes it anew`)),
    ...(config?.warnings ?? []).map((words) => warn(words, 'what is ignored has no effect here; take it out of the file')),
    ...(remark === undefined ? [] : [warn(remark, 'make VFs (docs/sriov-guide.md), or leave the pools out on such nodes')]),
    ...(config === undefined ? [] : [ok(describe(found))]),
  ];
};

/** On a node that was put together without a device plugin. */
function isUnused({ place, pools }: Patient, { nics, pools: { config } }: Survey): boolean {
  return place !== 'device-plugin' && config === undefined && nics.vfs.length === 0 && !existsOnHost(pools);
}

function remedyFor({ pools: { config } }: Survey): string {
  const now = config === undefined ? 'nothing is offered' : `the last good one is in force, ${lastGoodFile}`;
  return `correct the file, it is then taken over without a restart; meanwhile ${now}`;
}

function describe({ pools: { config, refused }, resources }: Survey): string {
  const which = refused.length > 0 ? ' in force, the last good ones' : '';
  const offered = resources.map(({ name, units }) => `${name}: ${units.length}`).join(', ');
  return `${config?.pools.length ?? 0}${which}; offered, healthy or not: ${offered || 'nothing'}`;
}
