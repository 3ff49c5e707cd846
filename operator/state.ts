// What a view says about one VF or slot, in words for a person. Pure.
import type { Vf } from '../host/nic/vf.ts';
import type { View } from './view.ts';

export function resourcesOf({ resources }: View, { address }: Vf): readonly string[] {
  return resources.filter(({ units }) => units.some(({ id }) => id === address)).map(({ name }) => name);
}

/** The text of one cell: the most important thing about the VF, with its reasons. */
export function stateOf(view: View, vf: Vf): string {
  if (view.holders.has(vf.address)) return conditionOf(view, vf.address);
  if (vf.inUse.length > 0) return `in use by the host: ${vf.inUse.join('; ')}`;
  if (resourcesOf(view, vf).length === 0) return 'not offered (see explain)';
  return conditionOf(view, vf.address) || 'free';
}

/** Who has a unit and what is wrong with it. Empty when nobody has it and nothing is wrong. */
export function conditionOf(view: View, id: string): string {
  const found = view.findings.filter(({ address }) => address === id);
  const words = [...new Set(found.map(({ reason, words: text }) => `${reason}: ${text}`))].join('; ');
  const holder = view.holders.get(id);
  if (holder !== undefined) return `allocated as ${holder}${words && `, but ${words}`}`;
  return words && `unhealthy: ${words}`;
}

/** Continues a sentence. */
export function describePfs({ nics }: View): string {
  if (nics.pfs.length === 0) return '; there is no NIC with SR-IOV either';
  return `; PFs: ${nics.pfs.map((pf) => `${pf.address} ${pf.netdev ?? ''} (${pf.numVfs} of ${pf.totalVfs} VFs)`).join(', ')}`;
}
