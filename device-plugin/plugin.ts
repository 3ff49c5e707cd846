// The whole device plugin. Configuration, machine and kubelet's holdings go in; what kubelet is offered, and why not more, comes out. Whatever
// changes, the next offer is computed from the last look at each of the three (inventory/next-offer.ts). The timers are here.
import { isDeepStrictEqual } from 'node:util';
import { Alarm } from '../host/base/alarm.ts';
import { messageOf } from '../host/base/errors.ts';
import { watchDirectories } from '../host/files/watch-directories.ts';
import type { Host } from '../host/host.ts';
import { readSockets } from '../host/kernel/numa.ts';
import { onHost } from '../host/kernel/sysfs.ts';
import type { AskKernel, Nics } from '../host/nic/nics.ts';
import { quarantineDir } from '../host/nic/quarantine.ts';
import type { Config } from '../inventory/config/pool.ts';
import { type ConfigSourceOptions, type ConfigState, followConfig } from '../inventory/config/source.ts';
import { keepFiles } from '../inventory/files/files.ts';
import { probeForwarders, readFacts } from '../inventory/health/facts.ts';
import type { Facts } from '../inventory/health/reasons.ts';
import { allInHand } from '../inventory/holdings.ts';
import { type Changes, followInventory, type Inventory, type InventoryOptions } from '../inventory/machine.ts';
import { nextOffer, nothingOffered, type Offered } from '../inventory/next-offer.ts';
import { noPf } from '../inventory/offer/no-pf.ts';
import { makeOffer } from '../inventory/offer/offer.ts';
import type { Resource } from '../inventory/offer/resource.ts';
import { defaultKubeletDir, type Kubelet, type KubeletOptions, openKubelet } from './kubelet/kubelet.ts';
import { deadMounts } from './mounts.ts';
import { type Line, newsOf, newsOfVfs, noTroubles, type Troubles } from './news.ts';

export interface PluginOptions {
  readonly host: Pick<Host, 'root' | 'log'>;
  readonly ask: AskKernel;
  readonly config: Pick<ConfigSourceOptions, 'file' | 'importPrefix' | 'settle' | 'tick'>;
  readonly inventory?: Pick<InventoryOptions, 'events' | 'settle' | 'tick'>;
  readonly kubelet?: Omit<KubeletOptions, 'host' | 'changed'>;
}

/** Everything that metrics, probes and people want to know. */
export interface Status extends Troubles {
  readonly config: ConfigState;
  readonly inventory: Pick<Inventory, 'nics' | 'problem' | 'duration' | 'looks' | 'lookedAt'>;
  readonly kubelet: Pick<Kubelet, 'holdings' | 'status'>;
  readonly resources: readonly Resource[];
  /** Directories of the node that we no longer see as they are. */
  readonly deadMounts: readonly string[];
}

export interface Plugin {
  readonly status: Status;
  /** Looks at the machine now, and resolves when the result is offered. */
  look(): Promise<void>;
  /** Ends every stream and removes nothing else: device-info and directories stay for the pods that run. */
  stop(): Promise<void>;
}

interface State {
  readonly offered: Offered;
  /** What the log has reported. */
  readonly told: Troubles;
  readonly held: ReadonlyMap<string, string>;
  readonly forwardersDown: Facts['forwardersDown'];
  readonly facts?: Facts;
  /** When the files were last looked at, in milliseconds of performance.now(). */
  readonly thoroughAt: number;
}

const atStart: State = {
  offered: nothingOffered,
  told: noTroubles,
  held: new Map(),
  forwardersDown: new Map(),
  thoroughAt: Number.NEGATIVE_INFINITY,
};

/** Milliseconds between two checks whether somebody changed the files that we wrote. */
const thoroughEvery = 25_000;

/** Resolves when everything was looked at once and is offered. It also starts with a broken configuration or without a kubelet. */
export async function startPlugin(options: PluginOptions): Promise<Plugin> {
  const { host, ask } = options;
  const { log } = host;
  const files = keepFiles(host);
  const socketProblems: string[] = [];
  // Processors don't move, so one look is enough.
  const sockets = readSockets(host, ({ words }) => socketProblems.push(words));
  const nextLook = new Alarm(() => void inventory.look());
  const nextStep = new Alarm(stepAlone);
  let state = atStart;
  let running = false;

  const kubelet = await openKubelet({ host, ...options.kubelet, changed: holdingsChanged });
  const inventory = followInventory({ host, ask, ...options.inventory, allocated: () => new Set(heldNow().keys()), seen });
  const source = followConfig({ host, ...options.config, objections, changed: configChanged });
  const quarantine = watchDirectories([onHost(host, quarantineDir)], 30_000, stepSoon);
  running = true;
  state = { ...state, held: heldNow() };
  await inventory.look();

  /**
   * A VF that a pod gave back is free only if the host does not use it, so the machine is looked at at once. After a VF was taken the look can
   * wait, because a pod is being answered just now, and kubelet's lists show the new holder anyway.
   */
  function holdingsChanged(): void {
    if (!running) return;
    const [before, held] = [state.held, heldNow()];
    state = { ...state, held };
    if ([...before.keys()].some((id) => !held.has(id))) nextLook.within(0);
    else if ([...held].some(([id, resource]) => before.get(id) !== resource)) nextLook.within(1000);
  }

  function heldNow(): ReadonlyMap<string, string> {
    return allInHand(kubelet.holdings);
  }

  function seen(_: Nics, changes: Changes): void {
    write(newsOfVfs(changes));
    const now = performance.now();
    const thoroughly = now - state.thoroughAt > thoroughEvery;
    if (thoroughly) state = { ...state, thoroughAt: now };
    step(thoroughly);
    void probe();
  }

  function objections(config: Config): readonly string[] {
    if (config.overlap === 'first' || inventory.nics === undefined) return [];
    return makeOffer(config, { vfs: inventory.nics.vfs, sockets, held: heldNow() }).conflicts;
  }

  function configChanged(): void {
    stepSoon();
    setImmediate(probe);
  }

  async function probe(): Promise<void> {
    const forwardersDown = await probeForwarders(host, source.state.config?.pools ?? []);
    if (isDeepStrictEqual(forwardersDown, state.forwardersDown)) return;
    state = { ...state, forwardersDown };
    stepSoon();
  }

  function stepSoon(): void {
    if (running) nextStep.within(20);
  }

  /** Logs what goes wrong in a step that a timer started, because nobody else would hear of it. */
  function stepAlone(): void {
    try {
      step(false);
    } catch (error) {
      log.error({ error: messageOf(error) }, 'working out the offer failed; kubelet keeps the last one');
    }
  }

  /** Goes from the last offer to the next one. */
  function step(thoroughly: boolean): void {
    nextStep.clear();
    const { nics } = inventory;
    const { config } = source.state;
    if (!running || nics === undefined || config === undefined) return;
    const now = performance.now();
    const facts = readFacts(host, config.pools, state.forwardersDown, state.facts);
    const offered = nextOffer(state.offered, { config, nics, sockets, held: heldNow(), facts, now });
    state = { ...state, facts, offered };
    files.update(offered.resources, config.pools, thoroughly); // before the offer, because Allocate names them
    const troubles = troublesNow();
    write(newsOf(state.told, troubles));
    state = { ...state, told: troubles };
    kubelet.offer(offered.resources);
    if (offered.again !== undefined) nextStep.within(offered.again - now);
  }

  function troublesNow(): Troubles {
    const { findings, conflicts } = state.offered;
    const unread = [...socketProblems, ...(inventory.nics?.unread ?? []), ...(state.facts?.unread ?? [])];
    const { nics } = inventory;
    const { config } = source.state;
    const remark = nics === undefined || config === undefined ? undefined : noPf(config, nics);
    return { findings, conflicts, fileProblems: files.problems, unread, remarks: remark === undefined ? [] : [remark] };
  }

  function write(lines: readonly Line[]): void {
    for (const { level, words, about = {} } of lines) log[level](about, words);
  }

  return {
    get status() {
      return {
        ...{ config: source.state, inventory, kubelet, resources: state.offered.resources },
        ...{ deadMounts: deadMounts(host, options.kubelet?.kubeletDir ?? defaultKubeletDir), ...troublesNow() },
      };
    },
    look: () => inventory.look(),
    async stop() {
      running = false; // an offer after this would register again
      source.close();
      quarantine.close();
      nextStep.clear();
      nextLook.clear();
      await inventory.stop();
      await kubelet.stop();
    },
  };
}
