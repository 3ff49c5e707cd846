// Starts the kubelet side of our device plugin in this process, with short durations, for tests on the fake kubelet.
import { pino } from 'pino';
import { type Kubelet, type KubeletOptions, openKubelet } from '../../device-plugin/kubelet/kubelet.ts';
import type { Timing } from '../../device-plugin/kubelet/timing.ts';
import type { Resource } from '../../inventory/offer/resource.ts';

const quick: Timing = {
  patience: 1500,
  register: 3000,
  tick: 200,
  settle: 100,
  firstPause: 20,
  longestPause: 300,
  farewell: 600,
  reconcile: 50,
  naming: 200,
  grace: 300,
  doubt: 60_000,
};

export interface OurPlugin extends Kubelet {
  /** Log lines as pino writes them. */
  readonly log: readonly string[];
}

export async function startOurs(
  kubeletDir: string,
  resources: readonly Resource[],
  options: Partial<KubeletOptions> = {},
): Promise<OurPlugin> {
  const log: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void log.push(line) });
  const { timing, ...rest } = options;
  const kubelet = await openKubelet({ host: { root: '/', log: logger }, kubeletDir, timing: { ...quick, ...timing }, ...rest });
  kubelet.offer(resources);
  return {
    offer: kubelet.offer,
    stop: kubelet.stop,
    get holdings() {
      return kubelet.holdings;
    },
    get status() {
      return kubelet.status;
    },
    log,
  };
}
