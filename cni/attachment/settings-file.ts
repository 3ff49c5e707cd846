// The file of the node's configuration: /etc/smartnic/config.yaml, or the one that SMARTNIC_CONFIG names. Without the file all defaults apply.
// While it is refused, the last good one is in force, so that a typo does not keep a server from starting.
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { type LastGood, openLastGood, parseGood } from '../../host/files/last-good.ts';
import { findContent } from '../../host/files/plain.ts';
import { parseSettings, type Settings, type Variables, withVariables } from './settings.ts';

export interface SettingsFile {
  readonly path: string;
  /** Kept on the node's disk, because a node may boot while its configuration is refused. */
  readonly lastGood: LastGood;
  /** @throws Error that names the file. */
  read(): string;
  /** @throws ConfigError with one line for each bad key. */
  parse(text: string): Settings;
}

export function settingsFile(env: Variables): SettingsFile {
  const named = env['SMARTNIC_CONFIG'];
  const path = named ?? '/etc/smartnic/config.yaml';
  return {
    path,
    // The key `stateDir` can't say where, because it stands in the very file.
    lastGood: openLastGood(join(env['SMARTNIC_STATE_DIR'] ?? '/var/lib/smartnic', 'last-good-config.json')),
    read: () => readConfig(path, named !== undefined),
    parse: (text) => withVariables(parseSettings(text, path), env),
  };
}

export interface InForce {
  readonly settings: Settings;
  /** Why the present file is refused, one line for each problem. Empty when it is in force. */
  readonly problems: readonly string[];
}

/** @throws ConfigError that names every bad key of the file with its line, when there is no last good one either. */
export function readSettings(env: Variables): InForce {
  const file = settingsFile(env);
  const { value, problems } = parseGood(file.lastGood, file.path, file);
  return { settings: value, problems };
}

function readConfig(path: string, named: boolean): string {
  try {
    const content = findContent(path);
    if (content === undefined && named) throw new Error('ENOENT: no such file or directory');
    return content?.toString() ?? '';
  } catch (error) {
    throw new Error(`${path}: the node's configuration can't be read: ${messageOf(error)}`);
  }
}
