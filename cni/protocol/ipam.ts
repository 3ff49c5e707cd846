// Calls the IPAM plugin (SPEC section 4): found in CNI_PATH, called with our environment and configuration, and never trusted blindly.

import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { isRecord } from '../../host/base/json.ts';
import type { Host } from '../../host/host.ts';
import { isExecutable } from '../../host/program/executable.ts';
import { CniError, codes } from './errors.ts';
import type { Command, Environment } from './request.ts';
import { parseResult, type Result, renderResult } from './result.ts';
import { type CniVersion, isSupported, newestVersion, supportedVersions } from './versions.ts';

/** Everything that an IPAM call needs. It is a part of the journal, so that addresses can be given back without the runtime. */
export interface IpamCall {
  readonly type: string;
  readonly path: readonly string[];
  readonly env: Environment;
  readonly stdin: Readonly<Record<string, unknown>>;
  /** Milliseconds. */
  readonly timeout: number;
}

/** These plugins only give addresses from a list, so they are asked while the interface is being made. All others may ask through it. */
const fromLists: readonly string[] = ['host-local', 'static', 'whereabouts'];

export function needsInterface({ type }: Pick<IpamCall, 'type'>): boolean {
  return !fromLists.includes(type);
}

export async function ipamAdd(host: Host, call: IpamCall): Promise<Result> {
  const stdout = await invoke(host, call, 'ADD');
  const wrong = (words: string) =>
    new CniError(codes.ipamFailed, `IPAM plugin ${call.type} answered ADD ${words}`, { details: stdout.slice(0, 500) });
  let result: Result;
  try {
    const answer: unknown = JSON.parse(stdout);
    // Without a version, it is the version of the question, as for Go's libcni.
    const version: unknown = isRecord(answer) ? (answer['cniVersion'] ?? newestVersion) : newestVersion;
    if (!isSupported(String(version)))
      throw wrong(`in CNI version ${JSON.stringify(version)}; known are ${supportedVersions.join(', ')}`);
    result = parseResult(answer);
  } catch (error) {
    throw error instanceof CniError ? error : wrong(`with something that is no result: ${messageOf(error)}`);
  }
  if (result.ips.length === 0) throw wrong('without an address');
  return result;
}

/** What a failed ADD may have got from an IPAM plugin: it was not asked, it refused, or it may have given an address. */
export type IpamDebt = 'not asked' | 'refused' | 'owed';

export interface Addresses {
  ask(): Promise<Result>;
  readonly debt: IpamDebt;
}

const none: Result = { interfaces: [], ips: [], routes: [], dns: {} };

/** The addresses of one ADD. Without a call there are none. */
export function addressesOf(host: Host, call: IpamCall | undefined): Addresses {
  let debt: IpamDebt = 'not asked';
  return {
    get debt() {
      return debt;
    },
    async ask() {
      if (call === undefined) return none;
      debt = 'owed';
      try {
        return await ipamAdd(host, call);
      } catch (error) {
        if (error instanceof Refusal) debt = 'refused';
        throw error;
      } finally {
        host.step('ipam answered');
      }
    },
  };
}

/** The plugin ended by itself and refused, or there is none. A plugin that was killed, or that answered nonsense, may have given an address. */
class Refusal extends CniError {}

export async function ipamDel(host: Host, call: IpamCall): Promise<void> {
  await invoke(host, call, 'DEL');
}

/** Throws CniError 7 when it is not installed. ADD checks this before any change, so that a mistyped name leaves nothing to undo. */
export async function requireInstalled(call: IpamCall): Promise<void> {
  await find(call);
}

/** The codes with which older plugins refuse an unknown command: for its version, for its name, or because it names no container. */
const notKnown: Readonly<Record<'CHECK' | 'GC' | 'STATUS', readonly number[]>> = {
  CHECK: [codes.incompatibleVersion, codes.badEnvironment],
  GC: [codes.incompatibleVersion, codes.unknownContainer, codes.badEnvironment],
  STATUS: [codes.incompatibleVersion, codes.unknownContainer, codes.badEnvironment],
};

/** CHECK, GC and STATUS are newer than many IPAM plugins. A plugin that does not know the command has no objection. */
export async function ipamOptional(host: Host, call: IpamCall, command: keyof typeof notKnown): Promise<void> {
  try {
    await invoke(host, call, command);
  } catch (error) {
    const unknown = error instanceof CniError && notKnown[command].includes(error.code);
    if (!unknown) throw error;
    host.log.debug({ ipam: call.type, command, error: error.message }, 'the IPAM plugin does not know this command');
  }
}

async function invoke(host: Host, call: IpamCall, command: Command): Promise<string> {
  const file = await find(call);
  const { stdout } = await execute(host, call, { file, command, stdin: call.stdin }).catch(async (error: unknown) => {
    if (!(error instanceof CniError) || error.code !== codes.incompatibleVersion) throw error;
    // The question for its versions can only help. If it fails, the plugin's own refusal stands.
    const version = await commonVersion(host, call, file).catch(() => undefined);
    if (version === undefined) throw error;
    return execute(host, call, { file, command, stdin: inVersion(call.stdin, version) });
  });
  return stdout;
}

/** Also the result in it, which a plugin reads only in versions that it knows. One that is no result stays as it is, for the plugin to judge. */
function inVersion(stdin: IpamCall['stdin'], version: CniVersion): IpamCall['stdin'] {
  const { prevResult } = stdin;
  if (!isRecord(prevResult)) return { ...stdin, cniVersion: version };
  try {
    return { ...stdin, cniVersion: version, prevResult: JSON.parse(renderResult(parseResult(prevResult), version)) };
  } catch {
    return { ...stdin, cniVersion: version };
  }
}

/** A node's IPAM plugin may be older than the network's cniVersion. Then the newest version that both know will do. */
async function commonVersion(host: Host, call: IpamCall, file: string): Promise<CniVersion | undefined> {
  const { stdout } = await execute(host, call, { file, command: 'VERSION', stdin: { cniVersion: '1.0.0' } });
  const reply: unknown = JSON.parse(stdout);
  const theirs: unknown = isRecord(reply) ? reply['supportedVersions'] : undefined;
  const common = supportedVersions.filter((version) => Array.isArray(theirs) && theirs.includes(version));
  const asked = call.stdin['cniVersion'];
  return common.filter((version) => typeof asked !== 'string' || !isSupported(asked) || version !== asked).at(-1);
}

interface Execution {
  readonly file: string;
  readonly command: Command;
  readonly stdin: Readonly<Record<string, unknown>>;
}

async function execute(host: Host, call: IpamCall, { file, command, stdin }: Execution): Promise<{ readonly stdout: string }> {
  const env = { PATH: process.env['PATH'] ?? '', ...call.env, CNI_COMMAND: command };
  const what = `IPAM plugin ${call.type}`;
  const result = await host
    .run(file, [], { input: JSON.stringify(stdin), env, timeout: call.timeout })
    .catch((error: unknown) => {
      throw new CniError(codes.ipamFailed, `${what}: ${command}: ${messageOf(error)}`, { cause: error });
    });
  if (result.stderr !== '') host.log.info({ ipam: call.type, command, stderr: result.stderr }, 'the IPAM plugin wrote to stderr');
  if (result.exitCode === 0) return result;
  throw (
    delegateError(`${what}: `, result.stdout) ??
    new Refusal(codes.ipamFailed, `${what}: ${command} ended with status ${result.exitCode}`, {
      details: result.stderr.trim() || result.stdout.trim(),
    })
  );
}

/** The IPAM plugin's own error object, with its code and words. */
function delegateError(prefix: string, stdout: string): CniError | undefined {
  try {
    const reply: unknown = JSON.parse(stdout);
    if (!isRecord(reply) || typeof reply['code'] !== 'number') return undefined;
    const { code, msg, details } = reply;
    return new Refusal(code, `${prefix}${String(msg)}`, typeof details === 'string' ? { details } : {});
  } catch {
    return undefined;
  }
}

async function find(call: IpamCall): Promise<string> {
  const file = findExecutable(call);
  if (file !== undefined) return file;
  throw new Refusal(
    codes.invalidConfig,
    `ipam.type: no executable "${call.type}" in CNI_PATH (${call.path.join(':')}); install it, or correct the name`,
  );
}

function findExecutable({ type, path }: IpamCall): string | undefined {
  return path.map((directory) => join(directory, type)).find(isExecutable);
}
