// The shipped admission server with 1000 networks, called over TLS as an API server calls it: one connection, one call after the other, and eight at
// once. The API server behind it is fake: it has the networks and takes the certificate.
import { readFileSync } from 'node:fs';
import { paths } from '../../admission/server/review.ts';
import { podOf } from '../support/admission.ts';
import { makeCluster, networkPath, startAdmission } from '../support/admission-server.ts';
import { until } from '../support/until.ts';
import { atMost, type Bench, median, quantile, rounded, timed } from './figure.ts';

const [networks, pods] = [1000, 5000];

export const run: Bench = async (progress) => {
  await using api = makeCluster();
  for (let at = 0; at < networks; at++) api.put(networkPath('shop', `net-${at}`), network(at));
  const url = await api.start();
  await using server = await startAdmission(api, url);
  const start = await timed(() =>
    until(async () => (await server.page('/readyz').catch(() => '')) === 'ok\n', 'it is ready', 30),
  );
  progress(`${pods} pods with three networks of ${networks} each`);
  const times: number[] = [];
  const one = async (at: number) => {
    const names = [at, at * 7, at * 13].map((each) => `net-${each % networks}@i${each % networks}`);
    times.push(await timed(() => server.review(paths.mutatePod, pod([...new Set(names)].join()))));
  };
  for (let at = 0; at < 200; at++) await one(at);
  times.length = 0;
  for (let at = 0; at < pods; at++) await one(at);
  const alone = [...times];
  times.length = 0;
  for (let at = 0; at < pods; at += 8) await Promise.all(Array.from({ length: 8 }, (_, more) => one(at + more)));
  return [
    { name: 'admission: start to ready, with a new CA', value: rounded(start), unit: 'ms' },
    { name: 'admission: a review, median', value: rounded(median(alone)), unit: 'ms' },
    atMost(5, { name: 'admission: a review, 99th percentile', value: rounded(quantile(alone, 0.99)), unit: 'ms' }),
    { name: 'admission: a review of eight at once, 99th percentile', value: rounded(quantile(times, 0.99)), unit: 'ms' },
    atMost(80, { name: 'admission: resident', value: rounded(residentMegabytes(server.daemon.pid)), unit: 'MB' }),
  ];
};

function network(at: number): object {
  const name = `net-${at}`;
  const range = { subnet: `10.${at % 250}.0.0/16`, rangeStart: `10.${at % 250}.1.1`, rangeEnd: `10.${at % 250}.9.9` };
  const config = {
    cniVersion: '1.0.0',
    name,
    type: 'smartnic',
    bridge: 'br-int',
    vlan: at % 4000,
    ipam: { type: 'host-local', ranges: [[range]] },
  };
  return { metadata: { name, namespace: 'shop', labels: { tenant: name } }, spec: { config: JSON.stringify(config) } };
}

/** As big as pods are, most of which is nobody's concern here. */
function pod(names: string): object {
  const words = podOf({ networks: names, vnicType: 'direct' });
  const env = Array.from({ length: 60 }, (_, at) => ({ name: `VARIABLE_${at}`, value: 'x'.repeat(60) }));
  return { ...words, spec: { ...words.spec, containers: words.spec.containers.map((each) => ({ ...each, env })) } };
}

function residentMegabytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
