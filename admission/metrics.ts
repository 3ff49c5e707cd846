// The admission server's metrics for Prometheus.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** @param end - when the certificate ends, in milliseconds since 1970. */
export function makeMetrics(end: () => number | undefined) {
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  const reviews = new Counter({
    name: 'smartnic_admission_reviews_total',
    help: 'Reviews that were answered, by path of the webhook and by what came of them.',
    ...{ labelNames: ['path', 'refused'], registers: [metrics] },
  });
  const until = new Gauge({
    name: 'smartnic_admission_certificate_end_seconds',
    help: 'When the certificate that is served ends, in seconds since 1970. Absent while there is none.',
    registers: [metrics],
    collect() {
      const milliseconds = end();
      if (milliseconds !== undefined) until.set(milliseconds / 1000);
    },
  });
  return { metrics, told: (path: string, refused: boolean) => reviews.inc({ path, refused: String(refused) }) };
}
