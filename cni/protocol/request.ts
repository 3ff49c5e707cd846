// One invocation by the runtime, checked and typed. Pure. The checks have the same order as in Go's skel, because runtimes' own tests look
// at which error comes first (SPEC section 2, "CNI operations").
import { z } from 'zod';
import { messageOf } from '../../host/base/errors.ts';
import { explain } from '../../host/base/explain.ts';
import { isRecord } from '../../host/base/json.ts';
import { mac, type NetworkConfig, parseNetworkConfig } from '../../network/keys.ts';
import { checkNetworkName, identifier } from '../../network/name.ts';
import { versionWithoutKey } from '../../network/versions.ts';
import { CniError, codes } from './errors.ts';
import { type CniVersion, parseVersion } from './versions.ts';

export type Environment = Readonly<Record<string, string>>;

export const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type Command = (typeof commands)[number];

/** The part of CNI_ARGS that we read. */
export interface Args {
  readonly podNamespace?: string;
  readonly podName?: string;
  readonly podUid?: string;
  readonly mac?: string;
}

export interface Request {
  readonly command: Command;
  /** Empty for GC and STATUS. */
  readonly containerId: string;
  readonly ifname: string;
  /** As the runtime wrote it. Empty for a DEL whose namespace is gone. */
  readonly netns: string;
  readonly args: Args;
  /** The directories of CNI_PATH. */
  readonly path: readonly string[];
  readonly netnsOverride: boolean;
  readonly version: CniVersion;
  readonly config: NetworkConfig;
  /** The configuration as it came. IPAM gets it unchanged. */
  readonly stdin: Readonly<Record<string, unknown>>;
  readonly env: Environment;
}

interface Variable {
  readonly name: string;
  readonly needed: readonly Command[];
  readonly check?: (value: string) => string | undefined;
}

const perInterface = ['ADD', 'CHECK', 'DEL'] as const;

const variables: readonly Variable[] = [
  { name: 'CNI_COMMAND', needed: commands },
  { name: 'CNI_CONTAINERID', needed: perInterface, check: checkContainerId },
  { name: 'CNI_NETNS', needed: ['ADD', 'CHECK'], check: checkNetns },
  { name: 'CNI_IFNAME', needed: perInterface, check: checkIfname },
  { name: 'CNI_ARGS', needed: [] },
  { name: 'CNI_PATH', needed: ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS'] },
];

/** @throws CniError 1, 4, 6 or 7, or a Refusal of the network. DEL and GC accept a bad configuration or CNI_ARGS, because they must always work. */
export function parseRequest(env: Environment, stdin: string): Request {
  const name = env['CNI_COMMAND'] ?? '';
  checkVariables(env, name);
  const raw = parseJson(stdin);
  checkNetworkName(raw['name']);
  const command = commands.find((each) => each === name);
  if (command === undefined) throw new CniError(codes.badEnvironment, `unknown CNI_COMMAND: ${name}`);
  const version = checkVersion(command, raw['cniVersion']);
  const lenient = command === 'DEL' || command === 'GC';
  const one = perInterface.some((each) => each === command);
  return {
    command,
    // GC and STATUS concern no container. If the environment happens to name one, it must not be locked while GC works on it.
    containerId: one ? (env['CNI_CONTAINERID'] ?? '') : '',
    ifname: one ? (env['CNI_IFNAME'] ?? '') : '',
    netns: env['CNI_NETNS'] ?? '',
    args: lenient ? argsIfReadable(env['CNI_ARGS'] ?? '') : parseArgs(env['CNI_ARGS'] ?? ''),
    path: (env['CNI_PATH'] ?? '').split(':').filter((directory) => directory !== ''),
    netnsOverride: /^(1|true)$/i.test(env['CNI_NETNS_OVERRIDE'] ?? ''),
    version,
    config: parseNetworkConfig(raw, { lenient }),
    stdin: raw,
    env,
  };
}

function checkVariables(env: Environment, command: string): void {
  const missing: string[] = [];
  for (const { name, needed, check } of variables) {
    const value = env[name] ?? '';
    if (value === '') {
      if (name === 'CNI_COMMAND' || needed.some((each) => each === command)) missing.push(name);
      continue;
    }
    const problem = check?.(value);
    if (problem !== undefined) throw new CniError(codes.badEnvironment, `${name}: ${problem}`, { details: `${name}=${value}` });
  }
  if (missing.length > 0) {
    throw new CniError(codes.badEnvironment, `required env variables [${missing.join(',')}] missing`);
  }
}

function checkContainerId(value: string): string | undefined {
  return identifier.test(value) ? undefined : `invalid characters in container id "${value}"; allowed are a-z A-Z 0-9 _ . -`;
}

function checkNetns(value: string): string | undefined {
  return value.startsWith('/') && !value.includes('\0') ? undefined : `"${value}" is not an absolute path`;
}

/** The kernel's rules for interface names (dev_valid_name). A colon is not allowed, because it marks an alias. */
function checkIfname(value: string): string | undefined {
  if (Buffer.byteLength(value) > 15) return `interface name "${value}" is too long; at most 15 bytes`;
  if (value === '.' || value === '..') return `interface name is "${value}"`;
  return /[/:\s\0]/.test(value) ? `interface name "${value}" contains /, : or white space` : undefined;
}

function parseJson(stdin: string): Readonly<Record<string, unknown>> {
  if (stdin.trim() === '') throw new CniError(codes.decode, 'the network configuration on stdin is empty');
  try {
    const value: unknown = JSON.parse(stdin);
    if (isRecord(value)) return value;
  } catch (error) {
    throw new CniError(codes.decode, `the network configuration on stdin is not JSON: ${messageOf(error)}`);
  }
  throw new CniError(codes.decode, 'the network configuration on stdin is not a JSON object');
}

function checkVersion(command: Command, version: unknown): CniVersion {
  const text = version === undefined || version === '' ? versionWithoutKey : String(version);
  const order = text.split('.').map(Number);
  const older = (least: readonly number[]) => {
    const at = least.findIndex((part, index) => part !== order[index]);
    return at >= 0 && (order[at] ?? 0) < (least[at] ?? 0);
  };
  if (command === 'CHECK' && older([0, 4, 0]))
    throw new CniError(codes.incompatibleVersion, 'config version does not allow CHECK');
  if ((command === 'GC' || command === 'STATUS') && older([1, 1, 0])) {
    throw new CniError(codes.incompatibleVersion, `config version does not allow ${command}`);
  }
  return parseVersion(text);
}

const argNames: Readonly<Record<string, keyof Args | 'ignored'>> = {
  IgnoreUnknown: 'ignored',
  IgnoreUnknownArgs: 'ignored',
  K8S_POD_NAMESPACE: 'podNamespace',
  K8S_POD_NAME: 'podName',
  K8S_POD_UID: 'podUid',
  K8S_POD_INFRA_CONTAINER_ID: 'ignored',
  MAC: 'mac',
};

/** `K=V;K=V`. Multus repeats keys, and the last one counts. Unknown keys are errors unless the runtime says IgnoreUnknown. */
export function parseArgs(text: string): Args {
  const pairs = text
    .split(';')
    .filter((pair) => pair !== '')
    .map((pair) => pair.split('='));
  const ignoreUnknown = pairs.some(([key, value]) => key === 'IgnoreUnknown' && /^(1|true)$/i.test(value ?? ''));
  const args: { -readonly [K in keyof Args]: Args[K] } = {};
  for (const [key, value, ...rest] of pairs) {
    if (key === undefined || value === undefined || rest.length > 0) {
      throw new CniError(
        codes.badEnvironment,
        `CNI_ARGS: "${[key, value, ...rest].filter((part) => part !== undefined).join('=')}" is not of the form KEY=VALUE`,
      );
    }
    const name = Object.hasOwn(argNames, key) ? argNames[key] : undefined;
    if (name === undefined && !ignoreUnknown) {
      throw new CniError(
        codes.badEnvironment,
        `CNI_ARGS: unknown key "${key}"; known: ${Object.keys(argNames).join(', ')}, or set IgnoreUnknown=1`,
      );
    }
    if (name !== undefined && name !== 'ignored' && value !== '') args[name] = value;
  }
  return args.mac === undefined ? args : { ...args, mac: parseMac(args.mac) };
}

/** Returns nothing when the text can't be read. */
export function argsIfReadable(text: string): Args {
  try {
    return parseArgs(text);
  } catch {
    return {};
  }
}

function parseMac(text: string): string {
  const given = { MAC: text };
  const parsed = z.object({ MAC: mac }).safeParse(given);
  if (!parsed.success) throw new CniError(codes.badEnvironment, `CNI_ARGS: ${explain(parsed.error, given)}`);
  return parsed.data.MAC;
}
