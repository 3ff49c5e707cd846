// `explain`: what a view says about one VF, with a reason for each pool. Pure.
import { messageOf } from '../host/base/errors.ts';
import { type PciAddress, parsePciAddress } from '../host/base/pci-address.ts';
import { align } from '../host/base/table.ts';
import type { Vf } from '../host/nic/vf.ts';
import { numaNodes } from '../inventory/config/numa.ts';
import type { Pool } from '../inventory/config/pool.ts';
import { misfits } from '../inventory/config/selectors.ts';
import { whyNot } from '../inventory/offer/offer.ts';
import { describePfs, stateOf } from './state.ts';
import type { View } from './view.ts';

/** @throws Error that says how an address is written. */
export function readAddress(text: string): PciAddress {
  try {
    return parsePciAddress(text);
  } catch (error) {
    throw new Error(`explain: "${text}" ${messageOf(error)}`);
  }
}

/** Says what the VF is, who has it, and for each pool and selector why the VF is in or out. */
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
    ...(pool.resources.length === 0 && pool.selectors.some((selector) => misfits(selector, vf).length === 0)
      ? ['  kept from the pools behind it, because their own plugin would give it to this one']
      : []),
    ...guards.map((reason) => `  kept out: ${reason}`),
    ...(offered ? [`  NUMA nodes told to kubelet: ${nodes.join(', ') || 'none'}`] : []),
  ];
}

function notAVf(view: View, address: string): string {
  const pf = view.nics.pfs.find((one) => one.address === address);
  if (pf !== undefined)
    return `${address} is a PF (${pf.netdev ?? 'no netdev here'}) with ${pf.numVfs} of ${pf.totalVfs} VFs; only VFs are offered`;
  return `${address} is not a VF of this machine; \`vfs\` lists them${describePfs(view)}`;
}
