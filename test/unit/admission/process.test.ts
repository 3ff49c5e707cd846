// The admission server as it ships (dist/), over real TLS; the API server behind it is fake.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { paths } from '../../../admission/server/review.ts';
import { limitsOf, patched, podOf } from '../../support/admission.ts';
import { type AdmissionServer, at, makeCluster, networkPath, startAdmission } from '../../support/admission-server.ts';
import type { FakeObjectApi } from '../../support/fake-object-api.ts';
import { until } from '../../support/until.ts';

const network = (name: string, config: object) => ({
  metadata: { name, namespace: 'shop' },
  spec: { config: JSON.stringify({ cniVersion: '1.0.0', name, type: 'smartnic', bridge: 'b', ...config }) },
});

describe('the admission server', () => {
  let api: FakeObjectApi;
  let servers: AdmissionServer[];
  let url: string;
  before(async () => {
    api = makeCluster();
    url = await api.start();
    api.put(networkPath('shop', 'vf'), network('vf', { vnicType: 'direct' }));
    servers = await Promise.all(['one', 'two'].map((identity) => startAdmission(api, url, identity)));
    for (const server of servers)
      await until(async () => (await server.page('/readyz').catch(() => '')) === 'ok\n', 'it is ready', 20);
  });
  after(async () => {
    await Promise.all(servers.map((each) => each[Symbol.asyncDispose]()));
    await api[Symbol.asyncDispose]();
  });

  const limits = async (networks: string) => {
    const pod = podOf({ networks });
    const { patch } = (await servers[0]?.review(paths.mutatePod, pod)) ?? {};
    return limitsOf(patch === undefined ? pod : patched(pod, JSON.parse(Buffer.from(patch, 'base64').toString())));
  };

  it('has made a certificate that both replicas serve, and has told the webhook configurations', async () => {
    const { data } = api.objects.get(at.secret);
    deepEqual(Object.keys(data).toSorted(), ['ca.crt', 'ca.key', 'tls.crt', 'tls.key']);
    for (const path of [at.mutating, at.validating])
      equal(api.objects.get(path).webhooks[0].clientConfig.caBundle, data['ca.crt']);
    for (const server of servers) equal((await server.review(paths.judgePod, podOf({ networks: 'gone' }))).allowed, true);
    match(api.objects.get(at.lease).spec.holderIdentity, /^(one|two)$/);
  });

  it('follows networks: new ones, changed ones, and those that the watch has not told of', async () => {
    deepEqual(await limits('vf'), { app: { 'smartnic.io/direct': '1' } });
    api.put(networkPath('shop', 'vf'), network('vf', { vnicType: 'direct', resource: 'example.com/x' }));
    await until(async () => JSON.stringify(await limits('vf')).includes('example.com/x'), 'the change is known');
    // Behind the back of the watch.
    api.objects.set(networkPath('shop', 'quick'), network('quick', { vnicType: 'virtio-forwarder' }));
    deepEqual(await limits('quick'), { app: { 'smartnic.io/virtio-forwarder': '1' } });
    api.remove(networkPath('shop', 'vf'));
    await until(async () => Object.keys(await limits('vf')).length === 0, 'it is gone');
  });

  it('asks the API server for nothing but what its rights allow', () => {
    const own = Object.values(at);
    const known = api.asked.map((line) => line.split(' ')[1] ?? '');
    const others = known.filter((path) => !own.some((each) => each === path));
    for (const path of others)
      match(path, /^\/apis\/k8s\.cni\.cncf\.io\/v1\/(namespaces\/shop\/)?network-attachment-definitions/);
  });

  it('serves on while the API server refuses it', async () => {
    api.refusing = 403;
    const before = api.asked.length;
    await until(async () => api.asked.length > before, 'it asks', 20);
    equal((await servers[0]?.review(paths.judgePod, podOf({ vnicType: 'sriov' })))?.allowed, false);
    api.refusing = undefined;
  });

  it('counts its reviews', async () => {
    const text = (await servers[0]?.page('/metrics')) ?? '';
    ok(Number(/^smartnic_admission_reviews_total\{path="\/pods\/mutate",refused="false"\} (\d+)$/m.exec(text)?.[1]) > 2, text);
    match(text, /^smartnic_admission_certificate_end_seconds 1\d{9}/m);
  });
});
