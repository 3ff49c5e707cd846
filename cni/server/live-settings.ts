// Follows the node's configuration while the server runs. A good file is taken over at once, as far as its keys allow that. While the file is
// refused, what was in force stays in force. Both are logged.
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../host/base/log.ts';
import { type FollowOptions, followFile } from '../../host/files/follow-file.ts';
import { problemsOf, tryToKeep } from '../../host/files/last-good.ts';
import { liveKeys, type Settings } from '../attachment/settings.ts';
import type { SettingsFile } from '../attachment/settings-file.ts';

export interface LiveSettings {
  /** What is in force. */
  readonly now: Settings;
  /** Why the present file is refused, one line for each problem. Empty when it is in force. */
  readonly problems: readonly string[];
  /** Keys to which the file gives another value than this server was started with. They wait for its next start. */
  readonly waiting: readonly string[];
  close(): void;
}

export interface LiveOptions extends Pick<FollowOptions, 'settle' | 'tick'> {
  readonly file: SettingsFile;
  /** What the server was started with. */
  readonly start: Settings;
  readonly log: Logger;
}

/** Looks at the file now, and notes it as the last good one if it is good. */
export function followSettings({ file, start, log, settle, tick }: LiveOptions): LiveSettings {
  let now = start;
  let problems: readonly string[] = [];
  let waiting: readonly string[] = [];
  let seen: string | undefined;
  look();
  const watch = followFile({ file: file.path, settle, tick, changed: look });

  function look(): void {
    let text: string | undefined;
    try {
      const present = file.read();
      if (present === seen) return;
      text = present;
      takeOver(file.parse(present));
      tryToKeep(log, () => file.lastGood.write(file.path, present));
    } catch (error) {
      refuse(problemsOf(error));
    }
    seen = text;
  }

  function takeOver(asked: Settings): void {
    const next = { ...start, ...pick(asked, liveKeys) };
    const changed = differing(next, now);
    const later = differing(asked, next);
    if (changed.length > 0 || problems.length > 0) log.info({ file: file.path, changed }, 'configuration taken over');
    if (later.length > 0 && later.join() !== waiting.join())
      log.warn({ file: file.path, keys: later }, 'these keys of the configuration are taken over at the next start only');
    [now, problems, waiting] = [next, [], later];
    log.level = now.logLevel;
  }

  function refuse(why: readonly string[]): void {
    if (why.join('\n') === problems.join('\n')) return;
    problems = why;
    log.error({ file: file.path, problems }, 'configuration refused; what was in force stays in force');
  }

  return {
    get now() {
      return now;
    },
    get problems() {
      return problems;
    },
    get waiting() {
      return waiting;
    },
    close: () => watch.close(),
  };
}

function pick<K extends keyof Settings>(settings: Settings, keys: readonly K[]): Pick<Settings, K> {
  return Object.fromEntries(keys.map((key) => [key, settings[key]])) as Pick<Settings, K>;
}

function differing(a: Settings, b: Settings): readonly string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    (key) => !isDeepStrictEqual(Reflect.get(a, key), Reflect.get(b, key)),
  );
}
