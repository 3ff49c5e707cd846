// The resident CNI server. It opens what it needs, serves, sweeps beside that, and stops gracefully.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../host/base/errors.ts';
import { makeLock } from '../../host/base/lock.ts';
import { type Logger, openLog } from '../../host/base/log.ts';
import { claimFile } from '../../host/files/file-lock.ts';
import { appendText, removeFile } from '../../host/files/plain.ts';
import { removeAllAside } from '../../host/files/set-aside.ts';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import { socketDirectory } from '../../host/forwarder/forwarder.ts';
import { tellHealth } from '../../host/forwarder/health-marker.ts';
import { openForwarder } from '../../host/forwarder/open.ts';
import type { Host } from '../../host/host.ts';
import { readBootId } from '../../host/kernel/boot-id.ts';
import { readText } from '../../host/kernel/sysfs.ts';
import { openNetlink } from '../../host/netlink/netlink.ts';
import { listenForEnd } from '../../host/program/end-signals.ts';
import { parseEndpoint, serveProbes } from '../../host/program/http.ts';
import { run } from '../../host/program/run.ts';
import type { Context } from '../attachment/context.ts';
import { openJournal } from '../attachment/journal.ts';
import type { Settings } from '../attachment/settings.ts';
import { settingsFile } from '../attachment/settings-file.ts';
import { answer, type Invocation } from '../cni.ts';
import { type MainNetwork, openMainNetwork } from '../main-network/keep.ts';
import { makeFindLoss } from '../teardown/lost-pods.ts';
import { attachmentOf } from './attachment-of.ts';
import { openDatabases } from './databases.ts';
import { rememberNetworks } from './known-networks.ts';
import { followSettings } from './live-settings.ts';
import type { Meter } from './metrics.ts';
import { openPods } from './open-pods.ts';
import { type Health, healthPages, servePages } from './pages.ts';
import { livenessProblems, type NodeState, readinessProblems } from './readiness.ts';
import { answerOperator } from './served.ts';
import { serve } from './socket.ts';
import { stopServing } from './stop.ts';
import { openSweeper, type Sweeper } from './sweeper.ts';

/** Milliseconds between two looks whether the other server has ended. Calls of the runtime wait meanwhile. */
const turn = 50;

/** Serves until a signal comes. Throws when it can't start. */
export async function runServer(settings: Settings): Promise<void> {
  const onEnd = listenForEnd();
  const log = openLog(settings.logLevel);
  const later: { sweeper?: Sweeper; network?: MainNetwork | undefined } = {};
  const databases = openDatabases({
    ...{ settings, log },
    onBack: (how) => later.sweeper?.back(how),
    onBridge: () => later.sweeper?.bridge(),
  });
  const pods = await openPods(settings, log);
  const needs = { database: databases.get(settings.ovsdb), pods };
  const health: Health = { live: () => [], ready: () => readinessProblems(needs) };
  const probes = process.env['SMARTNIC_PROBE_SOCKET'];
  if (probes !== undefined) await serveProbes(probes, healthPages(health));
  await claimState(settings, log);
  const live = followSettings({ file: settingsFile(process.env), start: settings, log });
  health.live = () => ['the server is starting'];
  const bootId = readBootId();
  const journal = await openJournal(settings.stateDir);
  const forwarder =
    settings.forwarder &&
    (await openForwarder(settings.forwarder, {
      ...{ log, bootId, db: needs.database, sockets: socketDirectory, attachmentOf: (device) => attachmentOf(journal, device) },
      directory: join(settings.stateDir, 'forwarder'),
    }));
  const telling = tellHealth({ directory: join(settings.stateDir, 'quarantine'), forwarder, log });
  const host: Host = {
    root: '/',
    log,
    run,
    netlink: openNetlink,
    ovsdb: databases.get,
    ...(forwarder && { forwarder }),
    step: stepHook(process.env['SMARTNIC_STEP_HOOK']),
  };
  const asked = {
    host,
    pods,
    journal,
    bootId,
    lock: makeLock(),
    // They change while the server runs. Each request works with what was in force at its beginning.
    get settings() {
      return live.now;
    },
  };
  const context: Context = Object.assign(asked, { findLoss: makeFindLoss(asked) });
  const { meter, pages } = await openPages({ context, databases: databases.all, refused: () => live.problems }, health);
  const sweeper = openSweeper(context, meter);
  later.sweeper = sweeper;
  const networks = rememberNetworks();
  const state = () => ({
    ...{ networks: networks.all(), waiting: live.waiting },
    mainNetwork: later.network ?? {},
  });
  const answerAll = async (invocation: Invocation, signal: AbortSignal) => {
    const began = performance.now();
    const toOperator = await answerOperator(context, invocation, { sweep: sweeper.sweep, state });
    if (toOperator !== undefined) return toOperator;
    networks.note(invocation);
    const answered = await answer(context, invocation, signal);
    meter?.request(invocation.env['CNI_COMMAND'], answered.code ?? 0, (performance.now() - began) / 1000);
    return answered;
  };
  const server = await serve({ path: settings.socket, log, answer: answerAll });
  const born = findSocketIdentity(settings.socket);
  // A runtime that finds the network begins to call, so this comes after serving.
  const mainNetwork = openMainNetwork(process.env, { stateDir: settings.stateDir, log, isDraining: () => live.now.draining });
  later.network = mainNetwork;
  health.live = () => livenessProblems(settings, born);
  health.ready = () => readinessProblems({ ...needs, forwarder, refused: live.problems, network: mainNetwork?.problems ?? [] });
  const closePages = pages();
  // Requests don't wait for this. A request puts right by itself what is left of its own interface.
  sweeper.start(server.isBusy);
  void removeAllAside(socketDirectory).catch((error: unknown) =>
    log.warn({ error: messageOf(error) }, 'what pods left in the directories of their sockets can not be removed yet'),
  );
  const stop = async (signal: string) => {
    log.info({ signal }, 'stopping: finishing what runs');
    sweeper.stop();
    live.close();
    mainNetwork?.close();
    closePages();
    await stopServing(server, log, () => {
      pods.close();
      return [telling[Symbol.asyncDispose](), forwarder?.[Symbol.asyncDispose](), databases.close()];
    });
    process.exit(0);
  };
  onEnd((signal) => void stop(signal));
}

/** This comes before anything is read or swept. To a second server, the first one's running requests look like the remains of a crash. */
async function claimState({ stateDir, standby }: Settings, log: Logger): Promise<void> {
  const lock = join(stateDir, 'lock');
  if (claimFile(lock)) return;
  if (!standby) throw new Error(`another server works with ${stateDir}, perhaps finishing its last requests; stop it first`);
  log.info({ stateDir }, 'standing by: another server works here, and we go on when it ends');
  while (!claimFile(lock)) await sleep(turn);
}

/** The metrics library is loaded only where it is needed. `pages` serves them. The function that it returns ends that. */
async function openPages(
  state: NodeState,
  health: Health,
): Promise<{ readonly meter?: Meter; readonly pages: () => () => void }> {
  const endpoint = parseEndpoint(state.context.settings.metrics);
  if (endpoint === undefined) return { pages: () => () => {} };
  const { makeMeter } = await import('./metrics.ts');
  const meter = makeMeter(state);
  return { meter, pages: () => servePages(endpoint, health, { meter, log: state.context.host.log }) };
}

/**
 * Only for tests. `record:FILE` writes down every step, and `time:FILE` adds the milliseconds since the start. `kill:NAME` kills this process at
 * that step, as a power loss would. `kill-once:FILE` does so once, at the step that the file names.
 */
function stepHook(text: string | undefined): Host['step'] {
  if (text === undefined) return () => {};
  const [what, argument = ''] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
  if (what === 'record') return (name) => appendText(argument, `${name}\n`);
  if (what === 'time') return (name) => appendText(argument, `${name}\t${performance.now()}\n`);
  const asked = what === 'kill' ? () => argument : () => readText(argument);
  return (name) => {
    if (name !== asked()) return;
    if (what === 'kill-once') removeFile(argument);
    process.kill(process.pid, 'SIGKILL');
  };
}
