// Decides when the server sweeps: soon after it begins to serve, whenever a database is back, and on a slow tick.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../attachment/context.ts';
import { type SweepReport, sweep } from '../teardown/sweep.ts';
import type { Meter } from './metrics.ts';

export interface Sweeper {
  /**
   * Begins the first sweep in a moment. All others come only after it has begun. At a start, runtimes have calls that waited for the server, and
   * a sweep would take the processor from them. So it also waits while `isBusy` says that requests run, but not for long.
   */
  start(isBusy: () => boolean): void;
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
/** Milliseconds from the start of serving to the first sweep: at least, and at most if requests run. Between them it looks every `look`. */
const [soonest, latest, look] = [200, 1000, 50];

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
  const stopped = new AbortController();
  let tick: NodeJS.Timeout | undefined;
  return {
    start(isBusy) {
      void untilQuiet(isBusy, stopped.signal).then(
        () => {
          tick = setInterval(now, slowTick);
          now();
        },
        // Stopped before it began.
        () => {},
      );
    },
    back(how) {
      if (tick !== undefined && (how === 'again' || !running)) now();
    },
    bridge() {
      if (tick !== undefined) now();
    },
    sweep: sweepOnce,
    stop: () => {
      stopped.abort();
      clearInterval(tick);
    },
  };
}

/** @throws when the signal is aborted. */
async function untilQuiet(isBusy: () => boolean, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  await sleep(soonest, undefined, { signal });
  while (isBusy() && performance.now() - began < latest) await sleep(look, undefined, { signal });
}
