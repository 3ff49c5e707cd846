// The admission server's process: answers API servers until a signal.
import { hostname } from 'node:os';
import { messageOf } from '../host/base/errors.ts';
import { openLog } from '../host/base/log.ts';
import { ownApiServer } from '../host/kube/json-api.ts';
import { watchNetworks } from '../host/kube/networks.ts';
import { listenForEnd } from '../host/program/end-signals.ts';
import { keepServing, serveProbes, verdict } from '../host/program/http.ts';
import { serveTls } from '../host/program/https.ts';
import { openCertificate } from './certificate/certificate.ts';
import { linger } from './linger.ts';
import { makeMetrics } from './metrics.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { followKnown } from './server/known.ts';
import { reviewing } from './server/review.ts';

/** Milliseconds for a review: less than the 2 s of the webhook configurations, so that our words arrive. */
const patience = 1800;
/** Bytes of a review: two objects of the size that etcd takes at most, and what is around them. */
const longest = 4 * 1024 * 1024;

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(usage());
  else await serve(options);
}

async function serve({ logLevel, apiServer, name, ...options }: Options): Promise<void> {
  const onEnd = listenForEnd();
  const log = openLog(logLevel);
  const {
    POD_NAME: identity = hostname(),
    POD_NAMESPACE: namespace = 'kube-system',
    SMARTNIC_PROBE_SOCKET: probes,
  } = process.env;
  const api = apiServer === undefined ? ownApiServer(process.env) : { url: apiServer, credentials: options.credentials };
  const networks = watchNetworks(api, { log });
  const files = followKnown({ pools: options.config, mainNetwork: options.mainNetwork, log });
  const { metrics, told } = makeMetrics(() => certificate.end());
  const handlers = reviewing({ networks, known: files.known }, told);
  const server = await serveTls({ ...options.address, handlers, log, longest, patience });
  const certificate = openCertificate({
    ...{ server: api, log, namespace, name, identity, directory: options.certificate },
    serve: server.use,
  });
  let ending = false;
  const problems = () => [
    ...(ending ? ['this replica ends'] : []),
    ...[certificate.problem(), networks.problem()].filter((each) => each !== undefined),
  ];
  const pages = {
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.metrics() }),
    '/healthz': () => verdict([]),
    '/readyz': () => verdict(problems()),
  };
  const closing = new AbortController();
  if (probes !== undefined) await serveProbes(probes, pages);
  void keepServing(options.metrics, pages, { signal: closing.signal, log });
  async function stop(signal: string): Promise<void> {
    ending = true;
    log.info({ signal }, 'stopping: what is asked is still answered');
    await Promise.all([server.stop(linger), certificate.close()]);
    closing.abort();
    files.close();
    networks.close();
    log.info('stopped');
    process.exit(0);
  }
  onEnd((signal) => void stop(signal));
  log.info({ address: options.address, name, namespace }, 'the admission server runs');
}

main().catch((error: unknown) => {
  process.stderr.write(`smartnic-admission: ${messageOf(error)}\n`);
  process.exit(1);
});
