// What the commands for a person show: one look at the machine, the configuration and kubelet's list, as the running plugin would see it.
// It looks for itself and does not ask the plugin, so it works when the plugin does not.
import type { Host } from '../host/host.ts';
import { readSockets } from '../host/kernel/numa.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { openKernelQuestions } from '../host/nic/kernel-facts.ts';
import { type AskKernel, type Nics, scanNics } from '../host/nic/nics.ts';
import { lastGoodFile } from '../inventory/config/last-good.ts';
import type { Sockets } from '../inventory/config/numa.ts';
import type { Config } from '../inventory/config/pool.ts';
import { probeForwarders, readFacts } from '../inventory/health/facts.ts';
import type { Finding } from '../inventory/health/health.ts';
import { readHolders } from '../inventory/holders.ts';
import { poolsInForce } from '../inventory/in-force.ts';
import { nextOffer, nothingOffered } from '../inventory/next-offer.ts';
import { noPf } from '../inventory/offer/no-pf.ts';
import type { Resource } from '../inventory/offer/resource.ts';

export interface View {
  readonly nics: Nics;
  readonly sockets: Sockets;
  readonly config?: Config;
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
  /** By PCI address or slot: `smartnic.io/direct in default/pod-7 (container app)`. */
  readonly holders: ReadonlyMap<string, string>;
  /** What could not be looked at, and what is wrong with the configuration. */
  readonly problems: readonly string[];
}

interface Places {
  readonly config: string;
  /** The prefix of imported resources that name none. */
  readonly resourcePrefix?: string;
  readonly kubeletDir: string;
}

export interface ViewOptions extends Places {
  readonly host: Pick<Host, 'root'>;
  readonly ask: AskKernel;
}

/** Looks at the machine at `root`, and at its kernel. */
export async function look({ root, ...places }: Places & { readonly root: string }): Promise<View> {
  using questions = openKernelQuestions({ root, netlink: openNetlink });
  return await readView({ host: { root }, ask: questions.ask, ...places });
}

export async function readView({ host, ask, config: file, resourcePrefix, kubeletDir }: ViewOptions): Promise<View> {
  const having = await readHolders(host, kubeletDir);
  const problems = [...having.problems];
  const holders = new Map([...having.holders].map(([id, { words }]) => [id, words]));
  const held = new Map([...having.holders].map(([id, { resource }]) => [id, resource]));
  const nics = await scanNics(host, { ask, allocated: new Set(held.keys()) });
  const sockets = readSockets(host, ({ words }) => problems.push(words));
  problems.push(...nics.unread);
  const known = { nics, sockets, held };
  const { config, ...pools } = poolsInForce(host, { file, resourcePrefix }, { vfs: nics.vfs, sockets, held });
  problems.push(...pools.problems, ...pools.refused);
  if (config !== undefined && pools.refused.length > 0)
    problems.push(`${file} is refused: what is shown here is offered by the last good one, ${lastGoodFile}`);
  if (config === undefined) return { nics, sockets, resources: [], findings: [], holders, problems };
  const facts = readFacts(host, config.pools, await probeForwarders(host, config.pools));
  const { resources, findings, conflicts } = nextOffer(nothingOffered, { config, ...known, facts, now: 0 });
  const remark = noPf(config, nics);
  problems.push(...config.warnings, ...conflicts, ...facts.unread, ...(remark === undefined ? [] : [remark]));
  return { nics, sockets, config, resources, findings, holders, problems };
}
