// The device plugin's process: `run` serves kubelet until a signal; `vfs` and `explain` answer a person and end.
import { messageOf } from '../host/base/errors.ts';
import { openLog } from '../host/base/log.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { openKernelQuestions } from '../host/nic/kernel-facts.ts';
import { keepServing, verdict } from '../host/program/http.ts';
import { parsePciAddress } from '../inventory/config/ranges.ts';
import { explainVf, showVfs } from '../operator/vfs.ts';
import { readView } from '../operator/view.ts';
import { makeMetrics } from './metrics.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { startPlugin } from './plugin.ts';
import { livenessProblems, readinessProblems } from './readiness.ts';

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(usage());
  else await act[options.command](options);
}

const act = {
  run: serve,
  vfs: async (options) => print(showVfs(await look(options))),
  explain: async (options) => print(explainVf(await look(options), readAddress(options.operand ?? ''))),
} as const satisfies Record<Options['command'], (options: Options) => Promise<void>>;

async function serve({ root, logLevel, config, kubeletDir, registration, hostname, port }: Options): Promise<void> {
  const log = openLog(logLevel);
  const host = { root, log };
  const questions = openKernelQuestions({ root, netlink: openNetlink });
  const { POD_NAME: name, POD_NAMESPACE: namespace } = process.env;
  const ownPod = name !== undefined && namespace !== undefined ? { ownPod: { name, namespace } } : {};
  const plugin = await startPlugin({
    host,
    ask: questions.ask,
    config: { file: config },
    kubelet: { kubeletDir, registration, ...ownPod },
  });
  const metrics = makeMetrics(() => plugin.status);
  const ending = new AbortController();
  const pages = {
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.metrics() }),
    '/healthz': () => verdict(livenessProblems(plugin.status, performance.now())),
    '/readyz': () => verdict(readinessProblems(plugin.status)),
  };
  void keepServing({ hostname, port }, pages, { signal: ending.signal, log });
  log.info({ address: `${hostname}:${port}`, config, kubeletDir }, 'the device plugin runs');

  async function stop(signal: string): Promise<void> {
    log.info({ signal }, 'stopping: ending the streams; pods keep their devices');
    ending.abort();
    await plugin.stop();
    questions[Symbol.dispose]();
    log.info('stopped');
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));
}

async function look({ root, config, kubeletDir }: Options) {
  const host = { root };
  using questions = openKernelQuestions({ root, netlink: openNetlink });
  return await readView({ host, ask: questions.ask, config, kubeletDir });
}

function readAddress(text: string): string {
  try {
    return parsePciAddress(text);
  } catch (error) {
    throw new Error(`explain: "${text}" ${messageOf(error)}`);
  }
}

async function print(text: string): Promise<void> {
  process.stdout.write(text);
}

main().catch((error: unknown) => {
  const serves = process.argv[2] === undefined || process.argv[2] === 'run';
  process.stderr.write(`${serves ? 'smartnic-device-plugin' : 'smartnic'}: ${messageOf(error)}\n`);
  process.exitCode = 1;
});
