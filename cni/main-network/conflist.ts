// The configuration of the main network as its admin writes it: a list of plugins in JSON, of which ours is one. Pure.
import { basename } from 'node:path';
import { ConfigError } from '../../host/base/config-error.ts';
import { messageOf } from '../../host/base/errors.ts';
import { isRecord } from '../../host/base/json.ts';
import { openPositions } from '../../host/base/positions.ts';
import { parseRequest } from '../protocol/request.ts';
import { isSupported, supportedVersions } from '../protocol/versions.ts';

/** The variables of an ADD, so that the list is read as at the first pod. */
const firstAdd = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_NETNS: '/n', CNI_IFNAME: 'eth0', CNI_PATH: '/' };

/** @param file - its path, for messages. @throws ConfigError with one line for each bad plugin: file, line, key, value and what is allowed. */
export function checkConflist(file: string, text: string): void {
  const { plugins, name, cniVersion } = parseJson(file, text);
  const lineOf = linesOf(file, text);
  const refuse = (path: readonly PropertyKey[], words: string) => new ConfigError([at(file, lineOf(path), words)]);
  if (cniVersion !== undefined && !isSupported(String(cniVersion)))
    throw refuse(['cniVersion'], `cniVersion: ${JSON.stringify(cniVersion)} is not one of ${supportedVersions.join(', ')}`);
  if (!Array.isArray(plugins)) throw refuse([], 'plugins: is missing; write "plugins": [ … ]');
  const ours = [...plugins.entries()].filter(([, plugin]) => isRecord(plugin) && plugin['type'] === 'smartnic');
  if (ours.length === 0) throw refuse(['plugins'], 'plugins: none of them has "type": "smartnic"');
  const problems = ours.flatMap(([index, plugin]) => {
    try {
      parseRequest(firstAdd, JSON.stringify({ ...plugin, name, cniVersion }));
      return [];
    } catch (error) {
      const words = messageOf(error);
      return [at(file, lineOf(['plugins', index, keyIn(words)]), words)];
    }
  });
  if (problems.length > 0) throw new ConfigError(problems);
}

function parseJson(file: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch (error) {
    throw new ConfigError([at(file, lineOfError(file, text), `is not JSON: ${messageOf(error)}`)]);
  }
  throw new ConfigError([at(file, 1, 'is not a JSON object')]);
}

/** Where it is no JSON. JSON is YAML but for a few texts, and YAML's parser says the line. */
function lineOfError(file: string, text: string): number {
  try {
    openPositions(file, text);
    return 1;
  } catch (error) {
    return Number(/:(\d+): /.exec(messageOf(error))?.[1] ?? 1);
  }
}

/** Where a key stands. Of JSON that is no YAML only the first line is known. */
function linesOf(file: string, text: string): (path: readonly PropertyKey[]) => number {
  try {
    return openPositions(file, text).line;
  } catch {
    return () => 1;
  }
}

function at(file: string, line: number, words: string): string {
  return `${basename(file)}:${line}: ${words}`;
}

/** The key that an error of the network's parser begins with: `unknown key "vlna"; …`, `vlan: 5000 is above …`. */
function keyIn(words: string): string {
  return /^unknown key "([^"]+)"/.exec(words)?.[1] ?? /^([\w-]+)[.:]/.exec(words)?.[1] ?? '';
}
