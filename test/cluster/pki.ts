// Certificates and kubeconfigs of one cluster, made by openssl.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { addresses, nodeName } from './addresses.ts';

/** Writes `ca`, `apiserver`, `admin` and `kubelet` (.key, .crt), `sa.key`, `sa.pub`, `admin.conf` and `kubelet.conf` into the folder. */
export async function makePki(dir: string): Promise<void> {
  const openssl = async (...args: readonly string[]) => void (await run('openssl', args, { cwd: dir }));
  const config = join(dir, 'openssl.cnf');
  await writeFile(config, '[req]\ndistinguished_name=dn\n[dn]\n');
  const make = async (name: string, subject: string, ...more: readonly string[]) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];
    await openssl(
      'req',
      '-config',
      config,
      '-x509',
      ...key,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
      '-subj',
      subject,
      ...more,
    );
  };
  const signed = (name: string, subject: string, names: string) => {
    const usage = ['-addext', 'extendedKeyUsage=serverAuth,clientAuth', '-addext', `subjectAltName=${names}`];
    return make(name, subject, '-CA', 'ca.crt', '-CAkey', 'ca.key', ...usage);
  };
  await make('ca', '/CN=cluster-ca', '-addext', 'basicConstraints=critical,CA:TRUE');
  await signed('apiserver', '/CN=kube-apiserver', `IP:127.0.0.1,IP:${addresses.node},IP:${addresses.apiserver}`);
  await signed('admin', '/O=system:masters/CN=admin', 'DNS:admin');
  await signed(
    'kubelet',
    `/O=system:nodes/CN=system:node:${nodeName}`,
    `DNS:${nodeName},IP:${addresses.node},IP:${addresses.guest}`,
  );
  await openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'sa.key');
  await openssl('pkey', '-in', 'sa.key', '-pubout', '-out', 'sa.pub');
  for (const user of ['admin', 'kubelet']) await writeFile(join(dir, `${user}.conf`), JSON.stringify(kubeconfig(dir, user)));
}

function kubeconfig(dir: string, user: string): object {
  const [certificate, key] = [join(dir, `${user}.crt`), join(dir, `${user}.key`)];
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: `https://${addresses.node}`, 'certificate-authority': join(dir, 'ca.crt') } }],
    users: [{ name: user, user: { 'client-certificate': certificate, 'client-key': key } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user } }],
    'current-context': 'test',
  };
}
