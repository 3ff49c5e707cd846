// How each journaled attachment is: whether its pod can be reached through it, and what becomes of it. For a person.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { hasProcesses } from '../../host/kernel/pod-cgroup.ts';
import { type BridgePort, findPorts } from '../../host/ovs/bridge.ts';
import { type Attachment, findingIds, hasPort, owner } from '../attachment/attachment.ts';
import { findLostPort } from '../attachment/bridge-port.ts';
import type { Entry } from '../attachment/entry.ts';
import { wordsOfLeft } from '../attachment/left.ts';
import { deathOf } from './end.ts';
import type { Looker } from './sweep.ts';

/** `cut off`: the pod lives, and its interface does not work. `left over`: the pod is gone. */
export type Kind = 'well' | 'being added' | 'cut off' | 'left over' | 'not known';

export interface Condition {
  readonly attachment: Attachment;
  readonly kind: Kind;
  /** The most important thing about it. */
  readonly words: string;
}

export interface Conditions {
  /** The oldest comes first. */
  readonly all: readonly Condition[];
  /** The databases that answered, also the node's own if nothing is in it. */
  readonly answering: readonly string[];
  /** What could not be looked at. */
  readonly problems: readonly string[];
}

export async function findConditions(looker: Looker): Promise<Conditions> {
  const entries = looker.journal.list().toSorted((a, b) => a.attachment.since.localeCompare(b.attachment.since));
  const addresses = new Set([looker.settings.ovsdb, ...entries.map(({ attachment }) => attachment.ovsdb)]);
  const [all, answering, problems]: [Condition[], string[], string[]] = [[], [], []];
  for (const address of addresses) {
    const ports = await portsOf(looker, address, problems);
    if (ports !== undefined) answering.push(address);
    for (const entry of entries.filter(({ attachment }) => attachment.ovsdb === address))
      all.push({ attachment: entry.attachment, ...(await conditionOf(looker, entry, ports)) });
  }
  return { all, answering, problems };
}

/** Undefined when the database does not answer. */
async function portsOf({ host }: Looker, address: string, problems: string[]): Promise<readonly BridgePort[] | undefined> {
  try {
    return await findPorts(host.ovsdb(address), { owner });
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    problems.push(`how ports are is not known: ${error.message}`);
    return undefined;
  }
}

type Judged = Omit<Condition, 'attachment'>;

async function conditionOf(looker: Looker, entry: Entry, ports: readonly BridgePort[] | undefined): Promise<Judged> {
  const { attachment, phase, left } = entry;
  if (phase === 'deleting') {
    const parts = left === undefined ? 'something of it' : wordsOfLeft(attachment, left);
    return { kind: 'left over', words: `deleting: ${parts} can't be taken away yet; the server's log says why` };
  }
  const end = await endOf(looker, attachment);
  if (end !== undefined) return end;
  if (phase === 'adding') return { kind: 'being added', words: 'adding' };
  return ports === undefined ? { kind: 'not known', words: 'added' } : await plugged(looker, entry, ports);
}

async function endOf(looker: Looker, attachment: Attachment): Promise<Judged | undefined> {
  try {
    const why = await deathOf(looker, attachment);
    if (why === undefined) return undefined;
    const { podUid } = attachment.pod;
    const runs = attachment.bootId === looker.bootId && podUid !== undefined && hasProcesses(looker.host, podUid);
    if (runs) return { kind: 'cut off', words: 'its cable is gone, though processes of its pod run; delete the pod' };
    return { kind: 'left over', words: `${why}; the next sweep takes it away` };
  } catch (error) {
    return { kind: 'not known', words: `whether it lives is not known: ${messageOf(error)}` };
  }
}

async function plugged({ host }: Looker, entry: Entry, ports: readonly BridgePort[]): Promise<Judged> {
  const { attachment } = entry;
  const ids = Object.entries(findingIds(attachment));
  const port = ports.find(({ externalIds }) => ids.every(([key, value]) => externalIds[key] === value));
  const well: Judged = { kind: 'well', words: 'ok' };
  if (port === undefined && !hasPort(attachment)) return well;
  const trouble = port === undefined ? await lossWords({ host }, entry) : wrongWith(port, attachment);
  return trouble === undefined ? well : { kind: 'cut off', words: trouble };
}

function wrongWith(port: BridgePort, { bridge }: Attachment): string | undefined {
  if (port.bridge !== bridge) return `its port is on bridge ${port.bridge}, not ${bridge}; delete the pod`;
  if (port.error !== undefined) return `Open vSwitch: ${port.error}`;
  return port.ofport === undefined || port.ofport < 0 ? 'not taken by ovs-vswitchd' : undefined;
}

async function lossWords({ host }: Pick<Looker, 'host'>, entry: Entry): Promise<string> {
  const lost = await findLostPort(host.ovsdb(entry.attachment.ovsdb), entry);
  if (lost === undefined) return 'its port is gone, and so is its bridge';
  return 'problem' in lost ? lost.problem : 'its port is gone; the next sweep puts it back';
}
