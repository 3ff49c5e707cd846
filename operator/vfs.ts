// `vfs`: a view as a table for a person. Pure.
import { align } from '../host/base/table.ts';
import { conditionOf, describePfs, resourcesOf, stateOf } from './state.ts';
import type { View } from './view.ts';

/** A table with one line per VF, a table with one line per slot if there are any, and then what else is wrong. */
export function showVfs(view: View): string {
  const head = ['ADDRESS', 'PF', 'INDEX', 'DRIVER', 'NUMA', 'RESOURCES', 'STATE'];
  const rows = view.nics.vfs.map((vf) => [
    vf.address,
    vf.pf.netdev ?? vf.pf.address,
    String(vf.index),
    vf.driver ?? '-',
    vf.numaNode === undefined ? '-' : String(vf.numaNode),
    resourcesOf(view, vf).join(',') || '-',
    stateOf(view, vf),
  ]);
  const table = rows.length === 0 ? [`no VFs on this machine${describePfs(view)}`] : align([head, ...rows]);
  return [...table, ...showSlots(view), ...view.problems.map((problem) => `! ${problem}`), ''].join('\n');
}

function showSlots(view: View): readonly string[] {
  const rows = view.resources.flatMap(({ name, units }) =>
    units.filter(({ vf }) => vf === undefined).map(({ id }) => [id, name, conditionOf(view, id) || 'free']),
  );
  return rows.length === 0 ? [] : align([['SLOT', 'RESOURCE', 'STATE'], ...rows]);
}
