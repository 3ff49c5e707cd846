// The dispatcher: one invocation goes in (environment, stdin), one answer comes out (exit status, stdout, stderr). Only here do errors
// become CNI error objects, so that nothing but CNI JSON is ever on stdout.

import { isRecord } from '../host/base/json.ts';
import { add } from './add.ts';
import { keyOf, lockKey } from './attachment/attachment.ts';
import { abandonable, type Context } from './attachment/context.ts';
import { check } from './check.ts';
import { del } from './del.ts';
import { gc } from './gc.ts';
import { CniError, coded, codes, renderError } from './protocol/errors.ts';
import { argsIfReadable, type Command, type Environment, parseRequest, type Request } from './protocol/request.ts';
import { renderResult } from './protocol/result.ts';
import { newestVersion, renderVersions } from './protocol/versions.ts';
import { status } from './status.ts';

export interface Invocation {
  readonly env: Environment;
  readonly stdin: string;
}

export interface Answer {
  /** The code of the error object. Absent when there is no error. */
  readonly code?: number;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const nothing = { stdout: '', stderr: '' };

const handlers: Readonly<
  Record<Exclude<Command, 'VERSION'>, (context: Context, request: Request, signal: AbortSignal) => Promise<Omit<Answer, 'exit'>>>
> = {
  ADD: async (context, request, signal) => ({
    ...nothing,
    stdout: renderResult(await add(context, request, signal), request.version),
  }),
  // Removing is always right, so DEL and GC go on even when nobody waits for them.
  DEL: async (context, request) => {
    await del(context, request);
    return nothing;
  },
  CHECK: async (context, request, signal) => {
    await check(abandonable(context, signal), request);
    return nothing;
  },
  GC: async (context, request) => {
    await gc(context, request);
    return nothing;
  },
  STATUS: async (context, request, signal) => ({ ...nothing, stderr: await status(abandonable(context, signal), request) }),
};

/** Never throws. @param signal - aborted when nobody waits for the answer any more. */
export async function answer(context: Context, { env, stdin }: Invocation, signal: AbortSignal): Promise<Answer> {
  const began = performance.now();
  const command = env['CNI_COMMAND'];
  const { podNamespace, podName } = argsIfReadable(env['CNI_ARGS'] ?? '');
  const pod = podNamespace && podName ? `${podNamespace}/${podName}` : undefined;
  const who = { command, pod, containerId: env['CNI_CONTAINERID'], ifname: env['CNI_IFNAME'], trace: env['TRACEPARENT'] };
  try {
    if (command === 'VERSION') return { ...nothing, exit: 0, stdout: renderVersions(versionOf(stdin)) };
    const done = await dispatch(context, parseRequest(env, stdin), signal);
    context.host.log.info({ ...who, ms: Math.round(performance.now() - began) }, 'done');
    return { ...done, exit: 0 };
  } catch (error) {
    const failure = coded(error);
    context.host.log.error({ ...who, code: failure.code, err: failure, ms: Math.round(performance.now() - began) }, 'failed');
    return { ...nothing, code: failure.code, exit: 1, stdout: renderError(failure, versionOf(stdin)) };
  }
}

async function dispatch(context: Context, request: Request, signal: AbortSignal): Promise<Omit<Answer, 'exit'>> {
  const { command } = request;
  if (command === 'VERSION') return { ...nothing, stdout: renderVersions(request.version) };
  if (context.settings.draining && (command === 'ADD' || command === 'STATUS')) throw draining(context);
  const handle = async () => {
    // It may have waited long for its turn.
    if (command === 'ADD') signal.throwIfAborted();
    return await handlers[command](context, request, signal);
  };
  return request.containerId === '' ? await handle() : await context.lock(lockKey(keyOf(request)), handle);
}

function draining({ settings }: Context): CniError {
  return new CniError(
    codes.unavailable,
    `smartnic is being taken off node ${settings.nodeName} and plugs nothing new; let the pod run on another node (draining is on)`,
  );
}

/** An answer has the version of its request, if that can be read. */
function versionOf(stdin: string): string {
  try {
    const config: unknown = JSON.parse(stdin);
    const version: unknown = isRecord(config) ? config['cniVersion'] : undefined;
    return typeof version === 'string' && version !== '' ? version : newestVersion;
  } catch {
    return newestVersion;
  }
}
