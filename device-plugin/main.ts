// The device plugin's process: serves kubelet until a signal.
import { messageOf } from '../host/base/errors.ts';
import { openLog } from '../host/base/log.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { openKernelQuestions } from '../host/nic/kernel-facts.ts';
import { listenForEnd } from '../host/program/end-signals.ts';
import { keepServing, serveProbes, verdict } from '../host/program/http.ts';
import { makeMetrics } from './metrics.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { startPlugin } from './plugin.ts';
import { livenessProblems, readinessProblems } from './readiness.ts';

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options.help) process.stdout.write(usage());
  else await serve(options);
}

async function serve({
  root,
  logLevel,
  config,
  resourcePrefix,
  kubeletDir,
  registration,
  hostname,
  port,
}: Options): Promise<void> {
  const onEnd = listenForEnd();
  const log = openLog(logLevel);
  const host = { root, log };
  const questions = openKernelQuestions({ root, netlink: openNetlink });
  const { POD_NAME: name, POD_NAMESPACE: namespace, SMARTNIC_PROBE_SOCKET: probes } = process.env;
  const ownPod = name !== undefined && namespace !== undefined ? { ownPod: { name, namespace } } : {};
  const plugin = await startPlugin({
    host,
    ask: questions.ask,
    config: { file: config, importPrefix: resourcePrefix },
    kubelet: { kubeletDir, registration, ...ownPod },
  });
  const metrics = makeMetrics(() => plugin.status);
  const ending = new AbortController();
  const pages = {
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.metrics() }),
    '/healthz': () => verdict(livenessProblems(plugin.status, performance.now())),
    '/readyz': () => verdict(readinessProblems(plugin.status)),
  };
  if (probes !== undefined) await serveProbes(probes, pages);
  void keepServing({ hostname, port }, pages, { signal: ending.signal, log });
  async function stop(signal: string): Promise<void> {
    log.info({ signal }, 'stopping: ending the streams; pods keep their devices');
    ending.abort();
    await plugin.stop();
    questions[Symbol.dispose]();
    log.info('stopped');
    process.exit(0);
  }
  onEnd((signal) => void stop(signal));
  log.info({ address: `${hostname}:${port}`, config, kubeletDir }, 'the device plugin runs');
}

main().catch((error: unknown) => {
  process.stderr.write(`smartnic-device-plugin: ${messageOf(error)}\n`);
  process.exit(1);
});
