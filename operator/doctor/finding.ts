// What the doctor says about one thing.

import type { Looker } from '../../cni/teardown/sweep.ts';
import type { AskKernel } from '../../host/nic/nics.ts';

export interface Finding {
  /** `warn`: something that is configured, or could be, does not work. Pods that don't need it are served. */
  readonly level: 'ok' | 'warn' | 'fail';
  readonly topic: string;
  readonly words: string;
  /** What to do. Absent when there is nothing to do. */
  readonly remedy?: string;
}

/** The node that is examined. */
export interface Patient extends Pick<Looker, 'host' | 'settings' | 'journal'> {
  readonly ask: AskKernel;
  /** The folder in which the runtime looks for executables. */
  readonly cniBin: string;
  /** Why the node's configuration is refused, so that the last good one is in force. Empty when it is in force. */
  readonly refused: readonly string[];
  /** The executable of this release. Absent when its path is not known. */
  readonly ours?: string;
}

export type Examination = (patient: Patient) => Promise<readonly Finding[]>;

/** Makes findings on one topic. */
export function about(topic: string) {
  return {
    ok: (words: string): Finding => ({ level: 'ok', topic, words }),
    warn: (words: string, remedy: string): Finding => ({ level: 'warn', topic, words, remedy }),
    fail: (words: string, remedy: string): Finding => ({ level: 'fail', topic, words, remedy }),
  };
}
