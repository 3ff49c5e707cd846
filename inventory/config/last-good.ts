// Keeps the last good configuration in a file of its own. While the present one is refused, it tells a person what is offered, and it tells a
// plugin that starts what to offer.
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod/mini';
import type { Machine } from '../../host/base/machine.ts';
import { replace } from '../../host/files/durable.ts';
import { onHost, readText } from '../../host/kernel/sysfs.ts';

/** The path as the machine sees it. After a reboot the file is gone. */
export const lastGoodFile = '/run/smartnic/device-plugin/last-good-pools.json';

const shape = z.object({ file: z.string(), text: z.string() });

/** The text of that configuration file when it was last good. Undefined when it was not since the boot. @throws Error naming what can't be read. */
export function readLastGood(host: Machine, file: string): string | undefined {
  const content = readText(onHost(host, lastGoodFile));
  if (content === undefined) return undefined;
  const kept = shape.parse(JSON.parse(content));
  return kept.file === file ? kept.text : undefined;
}

/** @throws Error with what the machine said. */
export function writeLastGood(host: Machine, file: string, text: string): void {
  const path = onHost(host, lastGoodFile);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  replace(path, `${JSON.stringify({ file, text })}\n`, 0o644);
}

export function removeLastGood(host: Machine): void {
  rmSync(onHost(host, lastGoodFile), { force: true });
}
