// Runs the doctor on this machine.
import { join } from 'node:path';
import type { Settings } from '../cni/attachment/settings.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { openKernelQuestions } from '../host/nic/kernel-facts.ts';
import { badConfiguration, examine, hasFailed, render } from './doctor/doctor.ts';
import type { Finding } from './doctor/finding.ts';
import { openLooker } from './looker.ts';

/** @param read - throws when the configuration can't be read. That error is then the only finding. */
export async function consult(read: () => Promise<Settings>, cniBin: string) {
  const findings = await read().then(
    (settings) => examineThis(settings, cniBin),
    (error: unknown) => badConfiguration(error),
  );
  return { text: render(findings), failed: hasFailed(findings) };
}

async function examineThis(settings: Settings, cniBin: string): Promise<readonly Finding[]> {
  await using looker = openLooker(settings);
  using questions = openKernelQuestions({ root: looker.host.root, netlink: openNetlink });
  // In dist/ the executable is beside the bundle.
  return await examine({ ...looker, ask: questions.ask, cniBin, ours: join(import.meta.dirname, 'smartnic') });
}
