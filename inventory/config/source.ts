// Follows the configuration file. A good text takes effect at once. While the present text is bad, the last good one stays in force. Both are
// logged.

import { ConfigError } from '../../host/base/config-error.ts';
import { messageOf } from '../../host/base/errors.ts';
import { type FollowOptions, followFile } from '../../host/files/follow-file.ts';
import { tryToKeep } from '../../host/files/last-good.ts';
import type { Host } from '../../host/host.ts';
import { readText } from '../../host/kernel/sysfs.ts';
import { parseConfig } from './config.ts';
import { lastGoodPools } from './last-good.ts';
import type { Config } from './pool.ts';

export interface ConfigState {
  /** Absent when there has been no good configuration yet. Then nothing is offered. */
  readonly config?: Config;
  /** What is wrong with the present file, one line for each problem. Empty when nothing is wrong. */
  readonly problems: readonly string[];
  /** The number of configurations that were taken over. */
  readonly generation: number;
}

export interface ConfigSourceOptions extends Omit<FollowOptions, 'changed'> {
  readonly host: Pick<Host, 'root' | 'log'>;
  /** As parseConfig has it. */
  readonly importPrefix?: string;
  /** Problems of a configuration that only show on this machine. Empty when there are none. */
  readonly objections: (config: Config) => readonly string[];
  readonly changed: (state: ConfigState) => void;
}

export interface ConfigSource {
  readonly state: ConfigState;
  close(): void;
}

/**
 * Reads the file now and then follows it. `changed` is called for every text that differs from the last one, and for the first. If the first
 * text is refused, the last good configuration of an earlier plugin takes effect. If the file is missing, none does.
 */
export function followConfig(options: ConfigSourceOptions): ConfigSource {
  const { host, file, importPrefix, settle, tick, objections, changed } = options;
  const { log } = host;
  const lastGood = lastGoodPools(host);
  let state: ConfigState = { problems: [], generation: 0 };
  let seen: string | undefined;
  look();
  const watch = followFile({ file, settle, tick, changed: look });

  function look(): void {
    const text = readConfigText(file);
    const key = JSON.stringify(text);
    if (key === seen) return;
    try {
      const config = accept(text);
      state = { config, problems: [], generation: state.generation + 1 };
      if ('text' in text) tryToKeep(log, () => lastGood.write(file, text.text));
      log.info({ file, generation: state.generation, pools: config.pools.map((pool) => pool.name) }, 'configuration taken over');
      for (const warning of config.warnings) log.warn({ file }, warning);
    } catch (error) {
      const isFirst = seen === undefined;
      if (isFirst && 'problem' in text) tryToKeep(log, () => lastGood.remove());
      else if (isFirst) state = { ...state, ...recall() };
      state = { ...state, problems: error instanceof ConfigError ? error.problems : [`${file}: ${messageOf(error)}`] };
      const inForce = state.config
        ? `the last good one (number ${state.generation}) stays in force`
        : 'there is none, so nothing is offered';
      log.error({ file, problems: state.problems }, `configuration refused; ${inForce}`);
    }
    seen = key;
    changed(state);
  }

  function recall(): Pick<ConfigState, 'config'> {
    try {
      const text = lastGood.read(file);
      return text === undefined ? {} : { config: parseConfig(file, text, importPrefix) };
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the last good configuration can not be taken over');
      return {};
    }
  }

  function accept(text: FileText): Config {
    if ('problem' in text) throw new ConfigError([text.problem]);
    const config = parseConfig(file, text.text, importPrefix);
    const found = objections(config);
    if (found.length > 0) throw new ConfigError(found);
    return config;
  }

  return {
    get state() {
      return state;
    },
    close: () => watch.close(),
  };
}

type FileText = { readonly text: string } | { readonly problem: string };

export function readConfigText(file: string): FileText {
  try {
    const text = readText(file);
    return text === undefined
      ? { problem: `${file}:1: the file is missing; create it, or name another one with --config` }
      : { text };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
