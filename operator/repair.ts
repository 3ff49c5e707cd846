// `repair`: a sweep on demand. The running server does it, because only the server knows which calls are in progress. Without a server there are
// none. Then this says what a sweep would do, and the next server does it when it starts.
import type { Attachment } from '../cni/attachment/attachment.ts';
import type { Settings } from '../cni/attachment/settings.ts';
import { askServer } from '../cni/server/ask.ts';
import { repairVariable } from '../cni/server/served.ts';
import { planSweep, type SweepReport } from '../cni/teardown/sweep.ts';
import { messageOf } from '../host/base/errors.ts';
import { align } from '../host/base/table.ts';
import { openLooker } from './looker.ts';

/** @returns what was done, for a person. @throws Error saying what to do instead. */
export async function repair(settings: Settings, dryRun: boolean): Promise<string> {
  const served = await ask(settings.socket, dryRun ? 'dry-run' : 'now');
  if (served !== undefined) return render(served, dryRun);
  if (!dryRun)
    throw new Error(
      `no server answers on ${settings.socket}. Start it: it takes away what crashes and reboots left as soon as it serves. What that would be: repair --dry-run`,
    );
  await using looker = openLooker(settings);
  return `no server answers on ${settings.socket}; when it starts:\n${render(await planSweep(looker), dryRun)}`;
}

/** Milliseconds for a sweep. Everything that a sweep waits for has a limit of its own. */
const patience = 600_000;

/** Undefined when no server is there. */
async function ask(path: string, how: string): Promise<SweepReport | undefined> {
  try {
    const answer = await askServer(path, { [repairVariable]: how }, patience);
    return answer === undefined ? undefined : JSON.parse(answer);
  } catch (error) {
    throw new Error(`the server on ${path} did not repair: ${messageOf(error)}`, { cause: error });
  }
}

function render({ swept, restored, problems }: SweepReport, dryRun: boolean): string {
  const rows = [
    ...swept.map(({ attachment, why, failure }) => [
      failure === undefined ? (dryRun ? 'would remove' : 'removed') : 'failed',
      ...cellsOf(attachment),
      failure === undefined ? why : `${why}: ${failure}`,
    ]),
    ...restored.map((attachment) => [
      dryRun ? 'would put back' : 'put back',
      ...cellsOf(attachment),
      `its port was gone from bridge ${attachment.bridge}`,
    ]),
  ];
  const table =
    rows.length === 0
      ? ['nothing is left over']
      : align([['RESULT', 'CONTAINER', 'INTERFACE', 'NETWORK', 'PORT', 'WHY'], ...rows]);
  return [...table, ...problems.map((problem) => `! ${problem}`), ''].join('\n');
}

function cellsOf({ containerId, ifname, network, bridgePort }: Attachment): readonly string[] {
  return [containerId.slice(0, 12), ifname, network, bridgePort];
}
