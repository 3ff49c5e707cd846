// The device plugin as a whole: configuration, machine and kubelet's holdings in; what kubelet is offered, and why not more, out.
// Whatever changes, everything is worked out anew from the last look at each of them.
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../host/base/errors.ts';
import { watchDirectories } from '../host/files/watch-directories.ts';
import type { Host } from '../host/host.ts';
import { readSockets } from '../host/kernel/numa.ts';
import { onHost } from '../host/kernel/sysfs.ts';
import type { AskKernel } from '../host/nic/nics.ts';
import { quarantineDir } from '../host/nic/quarantine.ts';
import type { Sockets } from '../inventory/config/numa.ts';
import type { Config } from '../inventory/config/pool.ts';
import { type ConfigSourceOptions, type ConfigState, followConfig } from '../inventory/config/source.ts';
import { keepFiles } from '../inventory/files/files.ts';
import { probeForwarders, readFacts } from '../inventory/health/facts.ts';
import { type Finding, healthAtStart, judge } from '../inventory/health/health.ts';
import type { Facts } from '../inventory/health/reasons.ts';
import { allInHand } from '../inventory/holdings.ts';
import { followInventory, type Inventory, type InventoryOptions } from '../inventory/machine.ts';
import { makeOffer } from '../inventory/offer/offer.ts';
import type { Resource } from '../inventory/offer/resource.ts';
import { type Kubelet, type KubeletOptions, openKubelet } from './kubelet/kubelet.ts';

export interface PluginOptions {
  readonly host: Pick<Host, 'root' | 'log'>;
  readonly ask: AskKernel;
  readonly config: Pick<ConfigSourceOptions, 'file' | 'settle' | 'tick'>;
  readonly inventory?: Pick<InventoryOptions, 'events' | 'settle' | 'tick'>;
  readonly kubelet?: Omit<KubeletOptions, 'host' | 'changed'>;
}

/** All that metrics, probes and people want to know. */
export interface Status {
  readonly config: ConfigState;
  readonly inventory: Pick<Inventory, 'nics' | 'problem' | 'duration' | 'looks' | 'lookedAt'>;
  readonly kubelet: Pick<Kubelet, 'holdings' | 'status'>;
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
  readonly conflicts: readonly string[];
  /** Files that could not be written. */
  readonly fileProblems: readonly string[];
  /** What of the machine could not be read, in words. */
  readonly unread: readonly string[];
}

export interface Plugin {
  readonly status: Status;
  /** Looks at the machine now, and resolves when what it says is offered. */
  look(): Promise<void>;
  /** Ends every stream and forgets nothing: device-info and directories stay for the pods that run. */
  stop(): Promise<void>;
}

/** Milliseconds between two looks at whether somebody tampered with the files that we wrote. */
const thoroughEvery = 25_000;

/** Resolves when everything was looked at once and is offered. A broken configuration or an absent kubelet does not keep it from starting. */
export async function startPlugin(options: PluginOptions): Promise<Plugin> {
  const { host, ask } = options;
  const { log } = host;
  const files = keepFiles(host);
  let health = healthAtStart;
  let forwardersDown: ReadonlyMap<string, string> = new Map();
  let resources: readonly Resource[] = [];
  let findings: readonly Finding[] = [];
  let conflicts: readonly string[] = [];
  let fileProblems: readonly string[] = [];
  let heldBefore: ReadonlyMap<string, string> = new Map();
  let facts: Facts | undefined;
  const socketProblems: string[] = [];
  // Processors stay where they are.
  const sockets: Sockets = readSockets(host, ({ words }) => socketProblems.push(words));
  let unread: readonly string[] = [];
  let soon: NodeJS.Timeout | undefined;
  let patient: NodeJS.Timeout | undefined;
  let later: NodeJS.Timeout | undefined;
  let running = false;
  let lastThorough = Number.NEGATIVE_INFINITY;

  const kubelet = await openKubelet({ host, ...options.kubelet, changed: holdingsChanged });
  const inventory = followInventory({
    host,
    ask,
    ...options.inventory,
    allocated: () => new Set(heldNow().keys()),
    seen: (_, changes) => {
      for (const [what, vfs] of [
        ['added', changes.added],
        ['removed', changes.removed],
        ['changed', changes.changed.map(({ after }) => after)],
      ] as const) {
        if (vfs.length > 0) log.info({ vfs: vfs.map((vf) => vf.address) }, `VFs ${what}`);
      }
      const thorough = performance.now() - lastThorough > thoroughEvery;
      if (thorough) lastThorough = performance.now();
      evaluate(thorough ? 'thoroughly' : 'briefly');
      void probe();
    },
  });
  const source = followConfig({ log, ...options.config, objections, changed: configChanged });
  const quarantine = watchDirectories([onHost(host, quarantineDir)], 30_000, evaluateSoon);
  running = true;
  heldBefore = heldNow();
  await inventory.look();

  /**
   * A vf that a pod gave back is free only if the host does not use it, and that takes a look at once. One that was taken is told to
   * kubelet by itself; what else follows from it can wait, because a pod is being answered just now.
   */
  function holdingsChanged(): void {
    if (!running) return;
    const now = heldNow();
    const released = [...heldBefore.keys()].some((address) => !now.has(address));
    const taken = [...now].some(([address, resource]) => heldBefore.get(address) !== resource);
    heldBefore = now;
    if (released) setImmediate(look);
    else if (taken) later ??= setTimeout(look, 1000);
  }

  function look(): void {
    clearTimeout(later);
    later = undefined;
    if (running) void inventory.look();
  }

  function heldNow(): ReadonlyMap<string, string> {
    return allInHand(kubelet.holdings);
  }

  function objections(config: Config): readonly string[] {
    if (config.overlap === 'first' || inventory.nics === undefined) return [];
    return makeOffer(config, { vfs: inventory.nics.vfs, sockets, held: heldNow() }).conflicts;
  }

  function configChanged(): void {
    evaluateSoon();
    setImmediate(probe);
  }

  async function probe(): Promise<void> {
    const now = await probeForwarders(host, source.state.config?.pools ?? []);
    if (isDeepStrictEqual(now, forwardersDown)) return;
    forwardersDown = now;
    evaluateSoon();
  }

  function evaluateSoon(): void {
    if (running) soon ??= setTimeout(evaluateBriefly, 20);
  }

  /** On a timer of its own, where nobody else would hear what went wrong. */
  function evaluateBriefly(): void {
    try {
      evaluate('briefly');
    } catch (error) {
      log.error({ error: messageOf(error) }, 'working out the offer failed; kubelet keeps the last one');
    }
  }

  function evaluate(how: 'thoroughly' | 'briefly'): void {
    clearTimeout(soon);
    soon = undefined;
    clearTimeout(patient);
    const { nics } = inventory;
    const config = source.state.config;
    if (!running || nics === undefined || config === undefined) return;
    const held = heldNow();
    const offer = makeOffer(config, { vfs: nics.vfs, sockets, held });
    const now = performance.now();
    facts = readFacts(host, config.pools, forwardersDown, facts);
    const judged = judge(health, { offered: offer.resources, pools: config.pools, nics, held, facts, now });
    health = judged.state;
    resources = judged.resources;
    files.update(resources, config.pools, how === 'thoroughly'); // before the offer: Allocate names them
    say(judged.findings, offer.conflicts);
    sayUnread();
    kubelet.offer(resources);
    if (judged.again !== undefined) patient = setTimeout(evaluateBriefly, judged.again - now);
  }

  /** Once per change. */
  function say(found: readonly Finding[], fights: readonly string[]): void {
    const key = ({ resource, address, reason, told }: Finding) => `${resource} ${address} ${reason} ${told}`;
    const [before, after] = [new Set(findings.map(key)), new Set(found.map(key))];
    for (const one of found)
      if (!before.has(key(one)))
        log.warn(one, one.told ? 'VF is unhealthy' : 'a VF that a pod has is in trouble; kubelet is not told');
    for (const one of findings)
      if (!after.has(key(one)))
        log.info(
          { resource: one.resource, address: one.address, reason: one.reason },
          'VF has recovered from this, or is not offered any more',
        );
    for (const fight of fights) if (!conflicts.includes(fight)) log.error(fight);
    for (const problem of files.problems) if (!fileProblems.includes(problem)) log.error(problem);
    findings = found;
    conflicts = fights;
    fileProblems = files.problems;
  }

  function unreadNow(): readonly string[] {
    return [...socketProblems, ...(inventory.nics?.unread ?? []), ...(facts?.unread ?? [])];
  }

  /** Once per change. */
  function sayUnread(): void {
    const now = unreadNow();
    for (const words of now)
      if (!unread.includes(words)) log.error(`${words}; what depends on it is unhealthy or stays as it was`);
    for (const words of unread) if (!now.includes(words)) log.info(`no longer so: ${words}`);
    unread = now;
  }

  return {
    get status() {
      const status = { config: source.state, inventory, kubelet, resources, findings, conflicts, fileProblems };
      return { ...status, unread: unreadNow() };
    },
    look: () => inventory.look(),
    async stop() {
      running = false; // an offer after this would register anew
      source.close();
      quarantine.close();
      clearTimeout(soon);
      clearTimeout(patient);
      clearTimeout(later);
      await inventory.stop();
      await kubelet.stop();
    },
  };
}
