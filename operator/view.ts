// What the commands for a person show: one look at the machine, the configuration and kubelet's list, as the running plugin would see it.
// Looks for itself instead of asking the plugin, so that it works when the plugin does not.
import { messageOf } from '../host/base/errors.ts';
import type { Host } from '../host/host.ts';
import { readSockets } from '../host/kernel/numa.ts';
import { listPodDevices } from '../host/kube/podresources.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { openKernelQuestions } from '../host/nic/kernel-facts.ts';
import { type AskKernel, type Nics, scanNics } from '../host/nic/nics.ts';
import { parseConfig } from '../inventory/config/config.ts';
import type { Sockets } from '../inventory/config/numa.ts';
import type { Config } from '../inventory/config/pool.ts';
import { readConfigText } from '../inventory/config/source.ts';
import { probeForwarders, readFacts } from '../inventory/health/facts.ts';
import type { Finding } from '../inventory/health/health.ts';
import { nextOffer, nothingOffered } from '../inventory/next-offer.ts';
import type { Resource } from '../inventory/offer/resource.ts';

export interface View {
  readonly nics: Nics;
  readonly sockets: Sockets;
  readonly config?: Config;
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
  /** By PCI address: `smartnic.io/direct in default/pod-7 (container app)`. */
  readonly holders: ReadonlyMap<string, string>;
  /** What could not be looked at, or is wrong with the configuration. */
  readonly problems: readonly string[];
}

interface Places {
  readonly config: string;
  readonly kubeletDir: string;
}

export interface ViewOptions extends Places {
  readonly host: Pick<Host, 'root'>;
  readonly ask: AskKernel;
}

/** Of the machine at `root`, and its kernel. */
export async function look({ root, config, kubeletDir }: Places & { readonly root: string }): Promise<View> {
  using questions = openKernelQuestions({ root, netlink: openNetlink });
  return await readView({ host: { root }, ask: questions.ask, config, kubeletDir });
}

export async function readView({ host, ask, config: file, kubeletDir }: ViewOptions): Promise<View> {
  const problems: string[] = [];
  const { holders, held } = await readHolders(host, kubeletDir, problems);
  const nics = await scanNics(host, { ask, allocated: new Set(held.keys()) });
  const sockets = readSockets(host, ({ words }) => problems.push(words));
  problems.push(...nics.unread);
  const config = readConfig(file, problems);
  if (config === undefined) return { nics, sockets, resources: [], findings: [], holders, problems };
  const facts = readFacts(host, config.pools, await probeForwarders(host, config.pools));
  const { resources, findings, conflicts } = nextOffer(nothingOffered, { config, nics, sockets, held, facts, now: 0 });
  problems.push(...config.warnings, ...conflicts, ...facts.unread);
  return { nics, sockets, config, resources, findings, holders, problems };
}

function readConfig(file: string, problems: string[]): Config | undefined {
  try {
    const text = readConfigText(file);
    if ('text' in text) return parseConfig(file, text.text);
    problems.push(text.problem);
  } catch (error) {
    problems.push(messageOf(error));
  }
  return undefined;
}

interface Holders {
  readonly holders: ReadonlyMap<string, string>;
  /** By PCI address: the resource. */
  readonly held: ReadonlyMap<string, string>;
}

async function readHolders(host: Pick<Host, 'root'>, kubeletDir: string, problems: string[]): Promise<Holders> {
  try {
    const pods = await listPodDevices(host, { socket: `${kubeletDir}/pod-resources/kubelet.sock`, timeout: 2000 });
    const all = pods.flatMap((pod) =>
      pod.devices.flatMap(({ container, resource, ids }) => ids.map((id) => ({ pod, container, resource, id }))),
    );
    return {
      holders: new Map(
        all.map(({ id, pod, container, resource }) => [
          id,
          `${resource} in ${pod.namespace}/${pod.name} (container ${container})`,
        ]),
      ),
      held: new Map(all.map(({ id, resource }) => [id, resource])),
    };
  } catch (error) {
    problems.push(`which VFs pods have is not known: ${messageOf(error)}`);
    return { holders: new Map(), held: new Map() };
  }
}
