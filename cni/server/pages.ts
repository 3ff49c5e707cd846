// The pages of the CNI server: /metrics, /healthz, /readyz.

import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import { type Endpoint, keepServing, verdict } from '../../host/program/http.ts';
import type { Meter } from './metrics.ts';
import { livenessProblems, type NodeState, readinessProblems } from './readiness.ts';

/** Call it when the CNI socket is there. Resolves at once; the result ends it. */
export function servePages(endpoint: Endpoint, state: NodeState, meter: Meter): () => void {
  const { settings, host } = state.context;
  const born = findSocketIdentity(settings.socket);
  const ending = new AbortController();
  const pages = {
    '/metrics': async () => ({ status: 200, type: meter.contentType, body: await meter.text() }),
    '/healthz': () => verdict(livenessProblems(state, born)),
    '/readyz': async () => verdict(await readinessProblems(state)),
  };
  void keepServing(endpoint, pages, { signal: ending.signal, log: host.log });
  return () => ending.abort();
}
