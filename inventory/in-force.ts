// Which configuration of the pools is in force, as the running plugin would decide it: the present file, or the last good one while the plugin refuses
// the present one.
import { messageOf } from '../host/base/errors.ts';
import type { Machine } from '../host/base/machine.ts';
import { problemsOf } from '../host/files/last-good.ts';
import { parseConfig } from './config/config.ts';
import { lastGoodFile, lastGoodPools } from './config/last-good.ts';
import type { Config } from './config/pool.ts';
import { readConfigText } from './config/source.ts';
import { type Machine as Choice, makeOffer } from './offer/offer.ts';

export interface PoolsInForce {
  /** Absent when there is none. Then nothing is offered. */
  readonly config?: Config;
  /** Why the present file is refused, one line for each problem. Empty when it is in force. */
  readonly refused: readonly string[];
  /** Why it is not known whether there is a last good one. */
  readonly problems: readonly string[];
}

export interface PoolsSource {
  readonly file: string;
  /** The prefix of imported resources that name none. */
  readonly resourcePrefix?: string | undefined;
}

export function poolsInForce(machine: Machine, source: PoolsSource, there: Choice): PoolsInForce {
  const text = readConfigText(source.file);
  const present = 'text' in text ? parsed(source, text.text) : { refused: [text.problem] };
  const { last, problems } = lastGood(machine, source.file);
  const conflicts = present.config?.overlap === 'error' ? makeOffer(present.config, there).conflicts : [];
  const isGood = present.config !== undefined && conflicts.length === 0;
  const isLast = 'text' in text && text.text === last;
  if (isGood || isLast || last === undefined) return { ...present, problems };
  return { ...pick(parsed({ ...source, file: lastGoodFile }, last)), refused: [...present.refused, ...conflicts], problems };
}

/** Undefined when it was not good since the boot. */
function lastGood(machine: Machine, file: string): { readonly last: string | undefined; readonly problems: readonly string[] } {
  try {
    return { last: lastGoodPools(machine).read(file), problems: [] };
  } catch (error) {
    return { last: undefined, problems: [messageOf(error)] };
  }
}

type Parsed = Pick<PoolsInForce, 'config' | 'refused'>;

function parsed({ file, resourcePrefix }: PoolsSource, text: string): Parsed {
  try {
    return { config: parseConfig(file, text, resourcePrefix), refused: [] };
  } catch (error) {
    return { refused: problemsOf(error) };
  }
}

function pick({ config }: Parsed): Pick<PoolsInForce, 'config'> {
  return config === undefined ? {} : { config };
}
