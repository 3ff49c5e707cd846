// The supervisor of testpmd relays: a process of its own, so that traffic outlives the CNI server. Its relays outlive it as well.
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../host/base/errors.ts';
import { explain } from '../host/base/explain.ts';
import { type Logger, openLog } from '../host/base/log.ts';
import { parseYaml } from '../host/base/yaml.ts';
import { claimFile } from '../host/files/file-lock.ts';
import { findContent } from '../host/files/plain.ts';
import { socketDirectory } from '../host/forwarder/forwarder.ts';
import type { Answer, Request } from '../host/forwarder/relay-protocol.ts';
import { forwarderKeys, forwarderShape, supervisorSocket, type TestpmdSettings } from '../host/forwarder/settings.ts';
import { readBootId } from '../host/kernel/boot-id.ts';
import { forbidSymlinks } from '../host/kernel/mounts.ts';
import { listenForEnd } from '../host/program/end-signals.ts';
import { openRelays, type Relays } from './relays.ts';
import { serve } from './server.ts';

async function main(): Promise<void> {
  const onEnd = listenForEnd();
  const settings = readSettings(process.env['SMARTNIC_CONFIG'] ?? '/etc/smartnic/config.yaml');
  const log = openLog('info');
  // This comes before any look at relays. Two supervisors would start the same relays.
  if (!claimFile(join(settings.directory, 'lock')))
    throw new Error(`another supervisor works with ${settings.directory}; stop it first`);
  closeToSymlinks(log);
  const bootId = readBootId();
  const relays = openRelays({ settings, log, bootId });
  const path = supervisorSocket(settings);
  await serve({ path, log, answer: (request) => answer(relays, request) });
  log.info({ path, relays: relays.attached().length }, 'supervising relays');
  onEnd((signal) => {
    log.info({ signal }, 'stopping; the relays go on');
    process.exit(0);
  });
}

/** A container owns its socket's directory. A symbolic link in the place of the socket would lead a relay to the socket of another container. */
function closeToSymlinks(log: Logger): void {
  try {
    forbidSymlinks(socketDirectory);
    log.info({ path: socketDirectory }, 'symbolic links below it lead nowhere');
  } catch (error) {
    log.warn(
      { error: messageOf(error) },
      "a container's symbolic link could lead a relay to another one's socket; see docs/security.md",
    );
  }
}

async function answer(relays: Relays, request: Request): Promise<Answer> {
  switch (request.op) {
    case 'attach':
      await relays.attach(request.pair);
      return { ok: true, attached: [] };
    case 'detach':
      await relays.detach(request.pair);
      return { ok: true, attached: [] };
    case 'attached':
      return { ok: true, attached: relays.attached() };
    default:
      return request satisfies never;
  }
}

/** Reads the section `forwarder` alone, because the rest of the node's configuration belongs to the CNI server. */
function readSettings(path: string): TestpmdSettings {
  const value = parseYaml(readText(path), path) ?? {};
  const parsed = z.object({ forwarder: forwarderShape }).safeParse(value);
  if (!parsed.success)
    throw new Error(`${path}: ${explain(parsed.error, value, { known: { forwarder: forwarderKeys(value) } })}`);
  const { forwarder } = parsed.data;
  if (forwarder.kind === 'testpmd') return forwarder;
  throw new Error(`${path}: forwarder.kind: is ${forwarder.kind}, which needs no supervisor; write testpmd or don't start it`);
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

main().catch((error: unknown) => {
  process.stderr.write(`${JSON.stringify({ level: 60, msg: `smartnic-forwarder can't start: ${messageOf(error)}` })}\n`);
  process.exit(1);
});
