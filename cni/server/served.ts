// What the server answers to a person's commands. They ask on the runtime's socket, by variables that the runtime's executable never passes on.

import type { Context } from '../attachment/context.ts';
import type { Answer, Invocation } from '../cni.ts';
import type { MainNetwork } from '../main-network/keep.ts';
import { planSweep, type SweepReport } from '../teardown/sweep.ts';
import type { KnownNetwork } from './known-networks.ts';

/** `repair`: `now` or `dry-run`. */
export const repairVariable = 'SMARTNIC_REPAIR';
/** `doctor`: `state`. */
export const askVariable = 'SMARTNIC_ASK';

/** What only the running server knows. */
export interface ServerState {
  readonly networks: readonly KnownNetwork[];
  /** Keys of the node's configuration that are taken over at its next start only. */
  readonly waiting: readonly string[];
  /** How the runtime's file of the main network is. Nothing where we are not the main network. */
  readonly mainNetwork: Partial<Pick<MainNetwork, 'file' | 'problems' | 'remark'>>;
}

export interface Served {
  /** Sweeps once and counts it. */
  readonly sweep: () => Promise<SweepReport>;
  readonly state: () => ServerState;
}

/** Undefined when the request is the runtime's. */
export async function answerOperator(context: Context, { env }: Invocation, served: Served): Promise<Answer | undefined> {
  const how = env[repairVariable];
  if (how !== undefined) return said(how === 'dry-run' ? await planSweep(context) : await served.sweep());
  return env[askVariable] === undefined ? undefined : said(served.state());
}

function said(value: SweepReport | ServerState): Answer {
  return { exit: 0, stdout: JSON.stringify(value), stderr: '' };
}
