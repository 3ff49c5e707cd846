// `vfs` and `explain`: a view as text for a person. Pure.
import { align } from '../host/base/table.ts';
import type { Vf } from '../host/nic/vf.ts';
import { numaNodes } from '../inventory/config/numa.ts';
import { misfits } from '../inventory/config/selectors.ts';
import { whyNot } from '../inventory/offer/offer.ts';
import type { View } from './view.ts';

/** A table with one line per vf, one with a line per slot where there are any, then what else is wrong. */
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

/** For one vf: what it is, who has it, and for each pool and selector why it is in or out. */
export function explainVf(view: View, address: string): string {
  const vf = view.nics.vfs.find((one) => one.address === address);
  if (vf === undefined) return [notAVf(view, address), ...view.problems.map((problem) => `! ${problem}`), ''].join('\n');
  const facts = [
    [
      'pf',
      `${vf.pf.address} ${vf.pf.netdev ?? '(no netdev here)'}, VF ${vf.index} of ${vf.pf.numVfs}, ${vf.pf.eswitchMode ?? 'unknown'} mode`,
    ],
    ['ids', `vendor ${vf.vendor}, device ${vf.device}`],
    ['driver', vf.driver ?? 'none'],
    ['netdev', vf.netdev ?? 'none'],
    ['representor', vf.representor ?? 'none'],
    [
      'iommu',
      vf.iommuGroup === undefined ? 'no group' : `group ${vf.iommuGroup.id}${vf.iommuGroup.noiommu ? ' (no-IOMMU)' : ''}`,
    ],
    ['numa', vf.numaNode === undefined ? 'unknown' : `node ${vf.numaNode}`],
    ['allocated', view.holders.get(address) ?? 'to no pod'],
    ['state', stateOf(view, vf)],
  ];
  return [
    address,
    ...align(facts).map((line) => `  ${line}`),
    ...(view.config?.pools ?? []).flatMap((pool) => explainPool(view, vf, pool)),
    ...view.problems.map((problem) => `! ${problem}`),
    '',
  ].join('\n');
}

type Pool = NonNullable<View['config']>['pools'][number];

function explainPool({ sockets, resources }: View, vf: Vf, pool: Pool): readonly string[] {
  const offered = resources.some((one) => one.pool === pool.name && one.units.some(({ id }) => id === vf.address));
  const selectors = pool.selectors.map((selector, at) => {
    const why = misfits(selector, vf);
    return `  selector ${at + 1}: ${why.length === 0 ? 'fits' : `does not fit: ${why.join('; ')}`}`;
  });
  const guards = whyNot(pool, vf, sockets).filter((reason) => reason !== 'no selector fits');
  const nodes = numaNodes(pool.numaPolicy, vf.numaNode, sockets) ?? [];
  return [
    `pool ${pool.name} (line ${pool.line}): ${offered ? `offered as ${pool.resources.map(({ name }) => name).join(' and ')}` : 'not offered'}`,
    ...selectors,
    ...guards.map((reason) => `  kept out: ${reason}`),
    ...(offered ? [`  NUMA nodes told to kubelet: ${nodes.join(', ') || 'none'}`] : []),
  ];
}

function resourcesOf({ resources }: View, { address }: Vf): readonly string[] {
  return resources.filter(({ units }) => units.some(({ id }) => id === address)).map(({ name }) => name);
}

/** One cell: the strongest thing to be said, with its reasons. */
function stateOf(view: View, vf: Vf): string {
  if (view.holders.has(vf.address)) return conditionOf(view, vf.address);
  if (vf.inUse.length > 0) return `in use by the host: ${vf.inUse.join('; ')}`;
  if (resourcesOf(view, vf).length === 0) return 'not offered (see explain)';
  return conditionOf(view, vf.address) || 'free';
}

/** Who has a unit and what is wrong with it; empty: nobody and nothing. */
function conditionOf(view: View, id: string): string {
  const found = view.findings.filter(({ address }) => address === id);
  const words = [...new Set(found.map(({ reason, words: text }) => `${reason}: ${text}`))].join('; ');
  const holder = view.holders.get(id);
  if (holder !== undefined) return `allocated as ${holder}${words && `, but ${words}`}`;
  return words && `unhealthy: ${words}`;
}

function notAVf(view: View, address: string): string {
  const pf = view.nics.pfs.find((one) => one.address === address);
  if (pf !== undefined)
    return `${address} is a PF (${pf.netdev ?? 'no netdev here'}) with ${pf.numVfs} of ${pf.totalVfs} VFs; only VFs are offered`;
  return `${address} is not a VF of this machine; \`vfs\` lists them${describePfs(view)}`;
}

function describePfs({ nics }: View): string {
  if (nics.pfs.length === 0) return '; there is no NIC with SR-IOV either';
  return `; PFs: ${nics.pfs.map((pf) => `${pf.address} ${pf.netdev ?? ''} (${pf.numVfs} of ${pf.totalVfs} VFs)`).join(', ')}`;
}
