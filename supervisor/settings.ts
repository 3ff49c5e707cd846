// What the supervisor reads of the node's configuration: the section `forwarder` alone, because the rest belongs to the CNI server. While the file
// is refused, the last good one is in force. Without it the supervisor would not start, and all relays of the node would be down.
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../host/base/config-error.ts';
import { messageOf } from '../host/base/errors.ts';
import { openPositions } from '../host/base/positions.ts';
import { type LastGood, openLastGood } from '../host/files/last-good.ts';
import { findContent } from '../host/files/plain.ts';
import { forwarderKeys, forwarderShape, type TestpmdSettings } from '../host/forwarder/settings.ts';

export interface SettingsFile {
  readonly path: string;
  /** It is kept in a folder that the next container sees, too. After a reboot it is gone. */
  readonly lastGood: LastGood;
  /** @throws Error that names the file. */
  read(): string;
  /** @throws ConfigError with one line for each bad key. */
  parse(text: string): TestpmdSettings;
}

export function settingsFile(env: Readonly<Record<string, string | undefined>>): SettingsFile {
  const path = env['SMARTNIC_CONFIG'] ?? '/etc/smartnic/config.yaml';
  const directory = env['SMARTNIC_STATE_DIR'] ?? '/run/smartnic/forwarder';
  return {
    path,
    lastGood: openLastGood(join(directory, 'last-good-config.json')),
    read: () => readText(path),
    parse: (text) => parseSettings(text, path),
  };
}

function parseSettings(text: string, path: string): TestpmdSettings {
  const positions = openPositions(path, text);
  const value = positions.value();
  const parsed = z.object({ forwarder: forwarderShape }).safeParse(value);
  if (!parsed.success)
    throw new ConfigError(parsed.error.issues.map((issue) => positions.explain(issue, value, () => forwarderKeys(value))));
  const { forwarder } = parsed.data;
  if (forwarder.kind === 'testpmd') return forwarder;
  throw new ConfigError([
    `${positions.at(positions.line(['forwarder', 'kind']))}: forwarder.kind: is ${forwarder.kind}, which needs no supervisor; write testpmd or don't start it`,
  ]);
}

function readText(path: string): string {
  try {
    const content = findContent(path);
    if (content === undefined) throw new Error('ENOENT: no such file or directory');
    return content.toString();
  } catch (error) {
    throw new Error(
      `${path}: the node's configuration can't be read: ${messageOf(error)}; its section "forwarder" says how relays are started`,
      { cause: error },
    );
  }
}
