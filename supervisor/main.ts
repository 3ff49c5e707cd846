// The supervisor of testpmd relays: a process of its own, so that traffic outlives the CNI server. Its relays outlive it as well.
import { join } from 'node:path';
import { messageOf } from '../host/base/errors.ts';
import { type Logger, openLog } from '../host/base/log.ts';
import { claimFile } from '../host/files/file-lock.ts';
import { parseGood, tryToKeep } from '../host/files/last-good.ts';
import { socketDirectory } from '../host/forwarder/forwarder.ts';
import type { Answer, Request } from '../host/forwarder/relay-protocol.ts';
import { supervisorSocket } from '../host/forwarder/settings.ts';
import { readBootId } from '../host/kernel/boot-id.ts';
import { forbidSymlinks } from '../host/kernel/mounts.ts';
import { listenForEnd } from '../host/program/end-signals.ts';
import { openRelays, type Relays } from './relays.ts';
import { serve } from './server.ts';
import { settingsFile } from './settings.ts';

async function main(): Promise<void> {
  const onEnd = listenForEnd();
  const file = settingsFile(process.env);
  const { value: settings, problems } = parseGood(file.lastGood, file.path, file);
  const log = openLog('info');
  if (problems.length > 0) log.error({ file: file.path, problems }, 'configuration refused; the last good one is in force');
  // This comes before any look at relays. Two supervisors would start the same relays.
  if (!claimFile(join(settings.directory, 'lock')))
    throw new Error(`another supervisor works with ${settings.directory}; stop it first`);
  if (problems.length === 0) tryToKeep(log, () => file.lastGood.write(file.path, file.read()));
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

main().catch((error: unknown) => {
  process.stderr.write(`${JSON.stringify({ level: 60, msg: `smartnic-forwarder can't start: ${messageOf(error)}` })}\n`);
  process.exit(1);
});
