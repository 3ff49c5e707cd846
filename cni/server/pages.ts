// The pages of the CNI server: /metrics, /healthz, /readyz.
import type { Logger } from '../../host/base/log.ts';
import { type Endpoint, keepServing, type Pages, verdict } from '../../host/program/http.ts';
import type { Meter } from './metrics.ts';

/** Why the server is not alive, and why it is not ready, in words. The server replaces the functions when its state changes. */
export interface Health {
  live: () => readonly string[];
  ready: () => Promise<readonly string[]>;
}

export function healthPages(health: Health): Pages {
  return { '/healthz': () => verdict(health.live()), '/readyz': async () => verdict(await health.ready()) };
}

/** Serves the pages on TCP. Returns at once. The function that it returns ends it. */
export function servePages(
  endpoint: Endpoint,
  health: Health,
  { meter, log }: { readonly meter: Meter; readonly log: Logger },
): () => void {
  const ending = new AbortController();
  const metrics = async () => ({ status: 200, type: meter.contentType, body: await meter.text() });
  void keepServing(endpoint, { '/metrics': metrics, ...healthPages(health) }, { signal: ending.signal, log });
  return () => ending.abort();
}
