// When the sweep gives up on an attachment that only a DEL named. Its network named an OVSDB server that does not answer, and that address may be
// mistyped. A port of ours that is there all the same is found by its external_ids at the next GC of the network. Pure.
import type { Entry } from '../attachment/entry.ts';

/** Microseconds for which the server is looked for, every minute. */
const patience = 3_600_000_000;

/** @param now - microseconds of CLOCK_MONOTONIC. */
export function isHopeless(
  { attachment, left }: Pick<Entry, 'attachment' | 'left'>,
  bootId: string,
  now = Number(process.hrtime.bigint() / 1000n),
): boolean {
  const { unproven, began } = attachment;
  if (unproven !== true || left?.join() !== 'port') return false;
  return attachment.bootId !== bootId || now - began > patience;
}
