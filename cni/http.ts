// The pages of the CNI server: /metrics, /healthz, /readyz.
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../host/errors.ts';
import { type Endpoint, type Pages, serveHttp, verdict } from '../host/http.ts';
import type { Logger } from '../host/log.ts';
import { findSocketIdentity } from '../host/unix-socket.ts';
import type { Meter } from './metrics.ts';
import { livenessProblems, type NodeState, readinessProblems } from './readiness.ts';

/** Milliseconds until an address that is taken is tried again. */
const pause = 10_000;

/** Call it when the CNI socket is there. Resolves at once; the result ends it. */
export function servePages(endpoint: Endpoint, state: NodeState, meter: Meter): () => void {
  const { settings, host } = state.context;
  const born = findSocketIdentity(settings.socket);
  const ending = new AbortController();
  void listen(endpoint, ending.signal, host.log, {
    '/metrics': async () => ({ status: 200, type: meter.contentType, body: await meter.text() }),
    '/healthz': () => verdict(livenessProblems(state, born)),
    '/readyz': async () => verdict(await readinessProblems(state)),
  });
  return () => ending.abort();
}

/** Pods need us more than anybody needs these pages: an address that somebody else has is no reason to give up. */
async function listen(endpoint: Endpoint, signal: AbortSignal, log: Logger, pages: Pages): Promise<void> {
  while (!signal.aborted) {
    try {
      const server = await serveHttp(endpoint, pages);
      signal.addEventListener('abort', () => {
        server.close();
        server.closeAllConnections();
      });
      return log.info(endpoint, 'serving /metrics, /healthz and /readyz');
    } catch (error) {
      log.error({ error: messageOf(error) }, 'the node\'s configuration: "metrics"; tried again every 10 s');
      await sleep(pause, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}
