// `attachments`: every pod interface that the journal or the bridges know, as a table. It looks for itself, so it works without a server.

import { type Attachment, findingIds, hasPort, owner } from '../cni/attachment/attachment.ts';
import { findLostPort } from '../cni/attachment/bridge-port.ts';
import type { Entry } from '../cni/attachment/entry.ts';
import { wordsOfLeft } from '../cni/attachment/left.ts';
import { deathOf } from '../cni/teardown/end.ts';
import { findStrays } from '../cni/teardown/strays.ts';
import type { Looker } from '../cni/teardown/sweep.ts';
import { messageOf, Unavailable } from '../host/base/errors.ts';
import { align } from '../host/base/table.ts';
import { type BridgePort, findPorts } from '../host/ovs/bridge.ts';

const head = ['POD', 'INTERFACE', 'NETWORK', 'TYPE', 'BRIDGE', 'PORT', 'VF', 'SINCE', 'STATE'];

export async function showAttachments(looker: Looker): Promise<string> {
  const entries = looker.journal.list().toSorted((a, b) => a.attachment.since.localeCompare(b.attachment.since));
  const addresses = new Set([looker.settings.ovsdb, ...entries.map(({ attachment }) => attachment.ovsdb)]);
  const problems = [...looker.journal.problems()];
  const rows: (readonly string[])[] = [];
  for (const address of addresses) {
    const ports = await portsOf(looker, address, problems);
    for (const entry of entries.filter(({ attachment }) => attachment.ovsdb === address))
      rows.push(row(entry.attachment, await stateOf(looker, entry, ports)));
    if (ports === undefined) continue;
    for (const stray of await findStrays(looker, address)) rows.push(row({ ...stray, since: '-' }, strayWords));
  }
  const table = rows.length === 0 ? ['no attachments on this node'] : align([head, ...rows]);
  return [...table, ...problems.map((problem) => `! ${problem}`), ''].join('\n');
}

const strayWords = 'not in the journal, found by its external_ids; its DEL or GC takes it away';

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

function row(attachment: Attachment, state: string): readonly string[] {
  const { pod, containerId, ifname, network, vnicType, bridge, bridgePort, reserved, since } = attachment;
  const name = pod.podNamespace && pod.podName ? `${pod.podNamespace}/${pod.podName}` : containerId.slice(0, 12);
  const when = since.replace(/\.\d+Z$/, 'Z');
  return [name, ifname, network, vnicType, bridge, bridgePort, reserved?.id ?? '-', when, state];
}

/** The most important thing about the attachment. */
async function stateOf(looker: Looker, entry: Entry, ports: readonly BridgePort[] | undefined): Promise<string> {
  const { attachment, phase, left } = entry;
  if (phase === 'deleting')
    return `deleting: ${left === undefined ? 'something of it' : wordsOfLeft(attachment, left)} can't be taken away yet; the server's log says why`;
  const end = await deathOf(looker, attachment).catch((error: unknown) => `whether it lives is not known: ${messageOf(error)}`);
  if (end !== undefined) return `${end}; the next sweep takes it away`;
  if (phase === 'adding') return 'adding';
  if (ports === undefined) return 'added';
  const ids = Object.entries(findingIds(attachment));
  const port = ports.find(({ externalIds }) => ids.every(([key, value]) => externalIds[key] === value));
  if (port === undefined) return hasPort(attachment) ? await lossWords(looker, entry) : 'ok';
  if (port.error !== undefined) return `Open vSwitch: ${port.error}`;
  return port.ofport === undefined || port.ofport < 0 ? 'not taken by ovs-vswitchd' : 'ok';
}

async function lossWords({ host }: Looker, entry: Entry): Promise<string> {
  const lost = await findLostPort(host.ovsdb(entry.attachment.ovsdb), entry);
  if (lost === undefined) return 'its port is gone, and so is its bridge';
  return 'problem' in lost ? lost.problem : 'its port is gone; the next sweep puts it back';
}
