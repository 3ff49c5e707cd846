// Runs the doctor on this machine.
import { join } from 'node:path';
import type { Variables } from '../cni/attachment/settings.ts';
import { type InForce, readSettings } from '../cni/attachment/settings-file.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { openKernelQuestions } from '../host/nic/kernel-facts.ts';
import { badConfiguration } from './doctor/configuration.ts';
import { examine, hasFailed, render } from './doctor/doctor.ts';
import type { Finding } from './doctor/finding.ts';
import { openLooker } from './looker.ts';

/** Without a configuration that can be read, and without a last good one, nothing else is looked at. */
export async function consult(env: Variables, cniBin: string) {
  const findings = await examineThis(env, cniBin);
  return { text: render(findings), failed: hasFailed(findings) };
}

async function examineThis(env: Variables, cniBin: string): Promise<readonly Finding[]> {
  let inForce: InForce;
  try {
    inForce = readSettings(env);
  } catch (error) {
    return badConfiguration(error);
  }
  await using looker = openLooker(inForce.settings);
  using questions = openKernelQuestions({ root: looker.host.root, netlink: openNetlink });
  const { problems: refused } = inForce;
  // In dist/ the executable is beside the bundle.
  return await examine({ ...looker, ask: questions.ask, cniBin, ours: join(import.meta.dirname, 'smartnic'), refused });
}
