// The resident CNI server: opens what it needs, sweeps, serves, stops gracefully.
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../host/errors.ts';
import { claimFile } from '../host/file-lock.ts';
import { openForwarder } from '../host/forwarder/open.ts';
import type { Host } from '../host/host.ts';
import { type Logger, openLog } from '../host/log.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { type Ovsdb, openOvsdb } from '../host/ovsdb.ts';
import { noPods, type Pods, watchPods } from '../host/pods.ts';
import { run } from '../host/run.ts';
import { socketDirectory } from '../vnic/virtio-forwarder.ts';
import { answer } from './cni.ts';
import type { Context } from './context.ts';
import { openJournal } from './journal.ts';
import { makeLock } from './lock.ts';
import { serve } from './server.ts';
import { readSettings, type Settings } from './settings.ts';
import { sweep } from './sweep.ts';

/** Milliseconds between sweeps that nothing asked for. */
const slowTick = 60_000;

async function main(): Promise<void> {
  const settings = await readSettings(environment());
  const log = openLog(settings.logLevel);
  claimState(settings.stateDir);
  const sweeper = { now: () => {} };
  const databases = openDatabases(settings, log, () => sweeper.now());
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const forwarder =
    settings.forwarder &&
    (await openForwarder(settings.forwarder, {
      ...{ log, bootId, db: databases.get(settings.ovsdb), sockets: socketDirectory },
      directory: join(settings.stateDir, 'forwarder'),
    }));
  const host: Host = {
    root: '/',
    log,
    run,
    netlink: openNetlink,
    ovsdb: databases.get,
    ...(forwarder && { forwarder }),
    step: stepHook(process.env['SMARTNIC_STEP_HOOK']),
  };
  const pods = await openPods(settings, log);
  const context: Context = {
    host,
    pods,
    settings,
    journal: openJournal(settings.stateDir),
    bootId,
    lock: makeLock(),
  };
  sweeper.now = coalesce(() => sweep(context));
  await sweep(context);
  const tick = setInterval(sweeper.now, slowTick);
  const server = await serve({ path: settings.socket, log, answer: (invocation) => answer(context, invocation) });
  const stop = async (signal: string) => {
    log.info({ signal }, 'stopping: finishing what runs');
    clearInterval(tick);
    await server.close();
    pods.close();
    await forwarder?.[Symbol.asyncDispose]();
    await databases.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));
}

/** Before anything is read or swept: to a second server the first one's running requests look like what a crash left. */
function claimState(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  if (claimFile(join(stateDir, 'lock'))) return;
  throw new Error(`another server works with ${stateDir}, perhaps finishing its last requests; stop it first`);
}

function environment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** One connection per address, kept for good; `onBack` when one was lost and is there again. */
function openDatabases({ ovsdbTls }: Settings, log: Logger, onBack: () => void) {
  const open = new Map<string, Ovsdb>();
  const get = (address: string): Ovsdb => {
    const known = open.get(address);
    if (known !== undefined) return known;
    const db = openOvsdb(address, { log, ...(ovsdbTls === undefined ? {} : { tls: ovsdbTls }) });
    db.onConnect(onBack);
    open.set(address, db);
    return db;
  };
  return {
    get,
    close: async () => {
      for (const db of open.values()) await db[Symbol.asyncDispose]();
    },
  };
}

async function openPods({ kubernetes, nodeName }: Settings, log: Logger): Promise<Pods> {
  const inPod = process.env['KUBERNETES_SERVICE_HOST'] !== undefined;
  if (!kubernetes.disabled && (kubernetes.kubeconfig !== undefined || inPod)) {
    return await watchPods({ kubeconfig: kubernetes.kubeconfig, nodeName, log });
  }
  log.warn('no API server is configured: annotations of pods are not read');
  return noPods;
}

/** Runs `work` at once, or once more after the run that is under way. */
function coalesce(work: () => Promise<void>): () => void {
  let running: Promise<void> | undefined;
  let again = false;
  const go = () => {
    again = running !== undefined;
    running ??= work().finally(() => {
      running = undefined;
      if (again) go();
    });
  };
  return go;
}

/** For tests only: `record:FILE` writes every step down, `kill:NAME` lets this process die at a step, as a power loss would. */
function stepHook(text: string | undefined): Host['step'] {
  if (text === undefined) return () => {};
  const [what, argument = ''] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
  if (what === 'record') return (name) => appendFileSync(argument, `${name}\n`);
  return (name) => {
    if (name === argument) process.kill(process.pid, 'SIGKILL');
  };
}

main().catch((error: unknown) => {
  process.stderr.write(`${JSON.stringify({ level: 60, msg: `smartnic can't start: ${messageOf(error)}` })}\n`);
  process.exit(1);
});
