// Decides when the server sweeps: as soon as it serves, whenever a database is back, and on a slow tick.
import type { Context } from '../attachment/context.ts';
import { type SweepReport, sweep } from '../teardown/sweep.ts';
import type { Meter } from './metrics.ts';

export interface Sweeper {
  /** Begins the first sweep. All others come only after this call. */
  start(): void;
  /** Says that a database answers. Then it sweeps at once, or once more after the present sweep. A sweep that waited for its first answer is enough. */
  back(how: 'first' | 'again'): void;
  /** Says that somebody made a bridge, perhaps again. Then it sweeps as for a database that is back. */
  bridge(): void;
  /** Sweeps now, whatever else is in progress. */
  sweep(): Promise<SweepReport>;
  stop(): void;
}

/** Milliseconds between sweeps without any cause. */
const slowTick = 60_000;

export function openSweeper(context: Context, meter: Meter | undefined): Sweeper {
  const { log } = context.host;
  const slow = new Set<string>();
  let sweeps = 0;
  const sweepOnce = async () => {
    const began = performance.now();
    const report = await sweep(context, slow);
    meter?.swept(report);
    const failed = report.swept.filter(({ failure }) => failure !== undefined).length;
    const [removed, ms] = [report.swept.length - failed, Math.round(performance.now() - began)];
    const restored = report.restored.length;
    log[sweeps++ === 0 || report.swept.length + restored > 0 ? 'info' : 'debug']({ removed, failed, restored, ms }, 'swept');
    return report;
  };
  let running = false;
  let again = false;
  const keepOn = async () => {
    running = true;
    do {
      again = false;
      await sweepOnce();
    } while (again);
    running = false;
  };
  const now = () => {
    if (running) again = true;
    else void keepOn();
  };
  let tick: NodeJS.Timeout | undefined;
  return {
    start() {
      tick = setInterval(now, slowTick);
      now();
    },
    back(how) {
      if (tick !== undefined && (how === 'again' || !running)) now();
    },
    bridge() {
      if (tick !== undefined) now();
    },
    sweep: sweepOnce,
    stop: () => clearInterval(tick),
  };
}
