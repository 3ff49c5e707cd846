// What the log says about the offer. Each thing is logged once when it begins, and most things also when they end. Pure.
import type { Finding } from '../inventory/health/health.ts';
import type { Changes } from '../inventory/machine.ts';

export interface Line {
  readonly level: 'info' | 'warn' | 'error';
  readonly words: string;
  /** Further members of the log's record. */
  readonly about?: object;
}

/** Everything that is wrong at one moment. */
export interface Troubles {
  readonly findings: readonly Finding[];
  readonly conflicts: readonly string[];
  /** Files that could not be written. */
  readonly fileProblems: readonly string[];
  /** What could not be read on the machine, in words. */
  readonly unread: readonly string[];
  /** What an admin may wonder about, though nothing is wrong. */
  readonly remarks: readonly string[];
}

export const noTroubles: Troubles = { findings: [], conflicts: [], fileProblems: [], unread: [], remarks: [] };

export function newsOf(before: Troubles, after: Troubles): readonly Line[] {
  const begun = added(before.findings, after.findings, keyOf);
  const ended = added(after.findings, before.findings, keyOf);
  return [
    ...begun.map((about) => ({ level: 'warn', words: about.told ? unhealthy : kept, about }) as const),
    ...ended.map(
      ({ resource, address, reason }) => ({ level: 'info', words: recovered, about: { resource, address, reason } }) as const,
    ),
    ...added(before.remarks, after.remarks).map((words) => ({ level: 'warn', words }) as const),
    ...[...added(before.conflicts, after.conflicts), ...added(before.fileProblems, after.fileProblems)].map(error),
    ...added(before.unread, after.unread).map((words) => error(`${words}; what depends on it is unhealthy or stays as it was`)),
    ...added(after.unread, before.unread).map((words) => ({ level: 'info', words: `no longer so: ${words}` }) as const),
  ];
}

/** The news of one look at the machine. */
export function newsOfVfs({ added: fresh, removed, changed }: Changes): readonly Line[] {
  const kinds = { added: fresh, removed, changed: changed.map(({ after }) => after) };
  return Object.entries(kinds).flatMap(([what, vfs]) =>
    vfs.length === 0 ? [] : [{ level: 'info', words: `VFs ${what}`, about: { vfs: vfs.map(({ address }) => address) } } as const],
  );
}

const unhealthy = 'VF is unhealthy';
const kept = 'a VF that a pod has is in trouble; kubelet is not told';
const recovered = 'VF has recovered from this, or is not offered any more';

function keyOf({ resource, address, reason, told }: Finding): string {
  return `${resource} ${address} ${reason} ${told}`;
}

function error(words: string): Line {
  return { level: 'error', words };
}

/** The elements of `after` that were not in `before`. */
function added<T>(before: readonly T[], after: readonly T[], key: (one: T) => unknown = (one) => one): readonly T[] {
  const known = new Set(before.map(key));
  return after.filter((one) => !known.has(key(one)));
}
