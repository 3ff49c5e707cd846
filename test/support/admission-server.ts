// The admission server as it ships, with a fake API server behind it, called as an API server calls it.
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Daemon, startDaemon } from './daemon.ts';
import { FakeObjectApi } from './fake-object-api.ts';
import { freePort } from './free-port.ts';

const name = 'smartnic-admission';
export const at = {
  secret: `/api/v1/namespaces/kube-system/secrets/${name}`,
  lease: `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${name}`,
  mutating: `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`,
  validating: `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${name}`,
} as const;

export const networkPath = (namespace: string, network: string) =>
  `/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/network-attachment-definitions/${network}`;

/** What an admin has applied. */
export function makeCluster(): FakeObjectApi {
  const api = new FakeObjectApi();
  api.put(at.secret, { metadata: { name } });
  api.put(at.lease, { metadata: { name }, spec: {} });
  for (const path of [at.mutating, at.validating])
    api.put(path, { metadata: { name }, webhooks: [{ name: 'pods.smartnic.io', clientConfig: { service: {} } }] });
  return api;
}

export interface AdmissionServer extends AsyncDisposable {
  readonly daemon: Daemon;
  /** Sends an AdmissionReview. Trusts what the webhook configurations trust. */
  review(path: string, object: object, namespace?: string): Promise<Anything>;
  /** The text of a page: `/readyz`. */
  page(path: string): Promise<string>;
}

// biome-ignore lint/suspicious/noExplicitAny: what the server answers
type Anything = any;

export async function startAdmission(api: FakeObjectApi, url: string, identity = 'one'): Promise<AdmissionServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sn-adm-'));
  const [port, metrics] = [await freePort(), await freePort()];
  const flags = [
    ...['--api-server', url, '--address', `127.0.0.1:${port}`, '--metrics', `127.0.0.1:${metrics}`],
    ...['--config', join(folder, 'pools.yaml'), '--main-network', join(folder, 'main.conflist')],
  ];
  const bundle = join(import.meta.dirname, '../../dist/smartnic-admission.mjs');
  const daemon = startDaemon(bundle, flags, { ...process.env, POD_NAME: identity, POD_NAMESPACE: 'kube-system' });
  const agent = new Agent({ keepAlive: true });
  const review = (path: string, object: object, namespace = 'shop'): Promise<Anything> =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify({
        ...{ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' },
        request: { uid: 'u', namespace, operation: 'CREATE', object },
      });
      const ca = Buffer.from(api.objects.get(at.mutating).webhooks[0].clientConfig.caBundle ?? '', 'base64').toString();
      const options = { host: '127.0.0.1', port, path, method: 'POST', ca, servername: `${name}.kube-system.svc`, agent };
      const sent = request(options, (answer) => {
        let text = '';
        answer.on('data', (chunk) => {
          text += chunk;
        });
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve(JSON.parse(text).response);
          else reject(new Error(text));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  return {
    ...{ daemon, review },
    page: async (path) => await (await fetch(`http://127.0.0.1:${metrics}${path}`)).text(),
    [Symbol.asyncDispose]: async () => {
      agent.destroy();
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
