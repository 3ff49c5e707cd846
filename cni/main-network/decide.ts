// What to do with the runtime's file of the main network. Pure.

export interface Texts {
  /** What the ConfigMap says. */
  readonly wanted: string;
  /** What the runtime has. Undefined when it has no such file. */
  readonly present: string | undefined;
  /** What we wrote last. Undefined when that is not known. */
  readonly written: string | undefined;
}

/**
 * `leave`: a person changed or removed the file on this node after we wrote it, and the ConfigMap says the same as then. `replace`: the ConfigMap
 * has changed since, or it is not known what we wrote, and the present file is worth keeping.
 */
export type Decision = 'nothing' | 'write' | 'replace' | 'leave';

/** Whoever spoke last is right: the cluster's admin by the ConfigMap, or the node's admin by the file. @param isStart - of this server. */
export function decide({ wanted, present, written }: Texts, isStart: boolean): Decision {
  if (present === wanted) return 'nothing';
  // A node on which this server is started is meant to have the network.
  if (present === undefined) return isStart || written !== wanted ? 'write' : 'leave';
  if (present === written) return 'write';
  return written === wanted ? 'leave' : 'replace';
}
