// Hooks: an admin's own executables, for steps that only a vendor's tools can do. For every event all executables of a directory run, in the
// order of their names. docs/hooks.md says what they are told and what they may answer.
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Machine } from '../base/machine.ts';
import { findDirectory, onHost } from '../kernel/sysfs.ts';
import { isExecutable } from './executable.ts';
import type { Run } from './run.ts';

const hookEvents = ['before-plug', 'after-plug', 'before-unplug', 'after-unplug', 'representor'] as const;
export type HookEvent = (typeof hookEvents)[number];

export interface HookCall {
  /** The directory, as the machine sees it. */
  readonly directory: string;
  /** Milliseconds that each may take. */
  readonly timeout: number;
  readonly event: HookEvent;
  /** Goes to stdin as JSON, with `version` and `event` in front. */
  readonly input: Readonly<Record<string, unknown>>;
}

/** Version of the JSON on stdin. It grows only when a key changes its meaning or is removed. */
const version = 1;
/** Bytes of stdout, and of stderr, after which a hook is killed. */
const outputLimit = 64 * 1024;

/** Runs all of them, one after the other. @returns what they printed, in order. @throws with the hook's own words at the first that fails. */
export async function runHooks(
  host: Machine & { readonly run: Run; readonly log: Logger },
  call: HookCall,
): Promise<readonly string[]> {
  const input = JSON.stringify({ version, event: call.event, ...call.input });
  const printed: string[] = [];
  for (const name of listHooks(host, call)) {
    const path = join(onHost(host, call.directory), name);
    const { exitCode, stdout, stderr } = await host
      .run(path, [call.event], { input, timeout: call.timeout, maxBuffer: outputLimit })
      .catch((error: unknown) => {
        throw new Error(`hook ${name} at ${call.event}: ${messageOf(error)}`, { cause: error });
      });
    if (exitCode !== 0) {
      const said = stderr.trim().slice(-1000) || 'without a word on stderr';
      throw new Error(`hook ${name} at ${call.event} ended with status ${exitCode}: ${said}`);
    }
    if (stderr.trim() !== '') host.log.info({ hook: name, event: call.event, stderr: stderr.trim() }, 'a hook wrote to stderr');
    printed.push(stdout.trim());
  }
  return printed;
}

/** Executable files whose names consist of letters, digits, `-` and `_` (as run-parts has it): no backups, no notes, no package leftovers. */
function listHooks(host: Machine, { directory, event }: HookCall): readonly string[] {
  const folder = onHost(host, directory);
  const names = findDirectory(folder);
  // Hooks that were removed meanwhile must not prevent the deletion of a pod.
  if (names === undefined && event.endsWith('-unplug')) return [];
  if (names === undefined)
    throw new Error(`hooks: there is no directory ${directory}; create it, or take "hooks" out of the network`);
  return names.filter((name) => /^[a-zA-Z0-9_-]+$/.test(name) && isExecutable(join(folder, name))).toSorted();
}
