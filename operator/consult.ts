// Runs the doctor on this machine.
import { join } from 'node:path';
import type { Variables } from '../cni/attachment/settings.ts';
import { type InForce, readSettings, settingsFile } from '../cni/attachment/settings-file.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { openKernelQuestions } from '../host/nic/kernel-facts.ts';
import { badConfiguration } from './doctor/configuration.ts';
import { examine, hasFailed, render } from './doctor/doctor.ts';
import type { Finding, Place } from './doctor/finding.ts';
import { type Survey, survey } from './doctor/survey.ts';
import { openLooker } from './looker.ts';

export interface Consultation {
  readonly env: Variables;
  readonly cniBin: string;
  /** The file of the pools. */
  readonly pools: string;
  readonly resourcePrefix?: string;
}

/** Without a configuration that can be read, and without a last good one, nothing else is looked at. */
export async function consult(consultation: Consultation) {
  const findings = await examineThis(consultation);
  return { text: render(findings), failed: hasFailed(findings) };
}

async function examineThis({ env, cniBin, pools, resourcePrefix }: Consultation): Promise<readonly Finding[]> {
  const place = placeOf(env);
  let inForce: InForce;
  try {
    inForce = place === 'device-plugin' ? readForPlugin(env) : readSettings(env);
  } catch (error) {
    return badConfiguration(error);
  }
  const { settings, problems: refused } = inForce;
  await using looker = openLooker(settings);
  const { host } = looker;
  using questions = openKernelQuestions({ root: host.root, netlink: openNetlink });
  let surveyed: Promise<Survey> | undefined;
  const surveyOnce = () => {
    surveyed ??= survey({ host, ask: questions.ask, kubeletDir: settings.kubeletDir, source: { file: pools, resourcePrefix } });
    return surveyed;
  };
  // In dist/ the executable is beside the bundle.
  const ours = join(import.meta.dirname, 'smartnic');
  return await examine({ ...looker, survey: surveyOnce, cniBin, ours, pools, refused, place });
}

/** deploy/ tells each of its containers which one it is. */
function placeOf({ SMARTNIC_CONTAINER: container }: Variables): Place {
  return container === 'cni' || container === 'device-plugin' ? container : 'node';
}

/** The configuration is the CNI server's, and its last good one is not to be seen from the device plugin's container. */
function readForPlugin(env: Variables): InForce {
  try {
    return { ...readSettings(env), problems: [] };
  } catch {
    return { settings: settingsFile(env).parse(''), problems: [] };
  }
}
