// What the doctor says about one thing.

import type { Looker } from '../../cni/teardown/sweep.ts';
import type { Survey } from './survey.ts';

export interface Finding {
  /** `warn`: something that is configured, or could be, does not work. Pods that don't need it are served. */
  readonly level: 'ok' | 'warn' | 'fail';
  readonly topic: string;
  readonly words: string;
  /** What to do. Absent when there is nothing to do. */
  readonly remedy?: string;
}

/** Where the doctor runs: in a container of deploy/, or on the node itself. Each sees only a part of what there is. */
export const places = ['cni', 'device-plugin', 'node'] as const;
export type Place = (typeof places)[number];

/** The node that is examined. */
export interface Patient extends Looker {
  readonly place: Place;
  /** Looks at NICs and pools, once for all examinations. */
  readonly survey: () => Promise<Survey>;
  /** The file of the pools. */
  readonly pools: string;
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
