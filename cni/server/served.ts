// The server's part of `repair`. The request comes over the runtime's socket, in a variable that the runtime's executable never passes on.

import type { Context } from '../attachment/context.ts';
import type { Answer, Invocation } from '../cni.ts';
import { planSweep, type SweepReport } from '../teardown/sweep.ts';

export const repairVariable = 'SMARTNIC_REPAIR';

/** Undefined when the request is the runtime's. @param sweep - sweeps once and counts it. */
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
