// `attachments`: every pod interface that the journal or the bridges know, as a table. It looks for itself, so it works without a server.

import type { Attachment } from '../cni/attachment/attachment.ts';
import { findConditions } from '../cni/teardown/condition.ts';
import { findNotUnderstood } from '../cni/teardown/not-understood.ts';
import { findStrays } from '../cni/teardown/strays.ts';
import type { Looker } from '../cni/teardown/sweep.ts';
import { align } from '../host/base/table.ts';

const head = ['POD', 'INTERFACE', 'NETWORK', 'TYPE', 'BRIDGE', 'PORT', 'VF', 'SINCE', 'STATE'];

export async function showAttachments(looker: Looker): Promise<string> {
  const { all, answering, problems } = await findConditions(looker);
  const rows = all.map(({ attachment, words }) => row(attachment, words));
  for (const address of answering)
    for (const stray of await findStrays(looker, address)) rows.push(row({ ...stray, since: '-' }, strayWords));
  const table = rows.length === 0 ? ['no attachments on this node'] : align([head, ...rows]);
  const files = (await findNotUnderstood(looker)).map(({ words, remedy }) => `${words}; ${remedy}`);
  return [...table, ...[...files, ...problems].map((problem) => `! ${problem}`), ''].join('\n');
}

const strayWords = 'not in the journal, found by its external_ids; its DEL or GC takes it away';

function row(attachment: Attachment, state: string): readonly string[] {
  const { pod, containerId, ifname, network, vnicType, bridge, bridgePort, reserved, since } = attachment;
  const name = pod.podNamespace && pod.podName ? `${pod.podNamespace}/${pod.podName}` : containerId.slice(0, 12);
  const when = since.replace(/\.\d+Z$/, 'Z');
  return [name, ifname, network, vnicType, bridge, bridgePort, reserved?.id ?? '-', when, state];
}
