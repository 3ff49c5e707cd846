// The server's part of `repair`. It comes by the runtime's socket, in a variable that the runtime's executable never passes on.

import type { Context } from '../attachment/context.ts';
import type { Answer, Invocation } from '../cni.ts';
import { planSweep, type SweepReport } from '../teardown/sweep.ts';

export const repairVariable = 'SMARTNIC_REPAIR';

/** Undefined: it is the runtime's. @param sweep - does one, and counts it. */
export async function answerOperator(
  context: Context,
  { env }: Invocation,
  sweep: () => Promise<SweepReport>,
): Promise<Answer | undefined> {
  const how = env[repairVariable];
  if (how === undefined) return undefined;
  const report = how === 'dry-run' ? await planSweep(context) : await sweep();
  return { exit: 0, stdout: JSON.stringify(report), stderr: '' };
}
