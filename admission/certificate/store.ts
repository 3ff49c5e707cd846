// Where the certificate lies: a Secret, and the caBundle of our webhook configurations.

import { apiStatus } from '../../host/kube/api-failure.ts';
import { type ApiServer, askApi } from '../../host/kube/json-api.ts';
import { type Material, splitPem } from './plan.ts';

export interface Store {
  read(): Promise<Material>;
  /** Replaces what `read` gave last. False when somebody else was faster. */
  write(material: Material): Promise<boolean>;
  /** Makes all webhook configurations trust these CAs. */
  trust(authorities: readonly string[]): Promise<void>;
}

interface Secret {
  readonly metadata: object;
  readonly data?: Readonly<Record<string, string>>;
}

interface Configuration {
  readonly webhooks?: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}

const keys = { authorities: 'ca.crt', authorityKey: 'ca.key', certificate: 'tls.crt', key: 'tls.key' } as const;

/** @param name - of the Secret and of both webhook configurations. */
export function openStore(server: ApiServer, namespace: string, name: string): Store {
  const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
  const kinds = ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'];
  const configurations = kinds.map((kind) => `/apis/admissionregistration.k8s.io/v1/${kind}/${name}`);
  let secret: Secret | undefined;
  return {
    read: async () => {
      secret = (await askApi(server, path)) as Secret;
      const text = (key: string) => {
        const value = secret?.data?.[key];
        return value ? Buffer.from(value, 'base64').toString() : undefined;
      };
      return {
        authorities: splitPem(text(keys.authorities)),
        ...{ authorityKey: text(keys.authorityKey), certificate: text(keys.certificate), key: text(keys.key) },
      };
    },
    write: async (material) => {
      const texts = { ...material, authorities: material.authorities.join('') };
      const data = Object.fromEntries(
        Object.entries(keys).flatMap(([part, key]) => {
          const text = texts[part as keyof typeof keys];
          return text === undefined ? [] : [[key, Buffer.from(text).toString('base64')]];
        }),
      );
      try {
        secret = (await askApi(server, path, { method: 'PUT', body: { ...secret, data } })) as Secret;
        return true;
      } catch (error) {
        if (apiStatus(error) === 409) return false;
        throw error;
      }
    },
    trust: async (authorities) => {
      const caBundle = Buffer.from(authorities.join('')).toString('base64');
      for (const each of configurations) await trustIn(server, each, caBundle);
    },
  };
}

/** The names are tested, because somebody may have changed the list meanwhile. */
async function trustIn(server: ApiServer, path: string, caBundle: string): Promise<void> {
  const { webhooks = [] } = (await askApi(server, path)) as Configuration;
  const body = webhooks.flatMap(({ name, clientConfig }, at) =>
    clientConfig.caBundle === caBundle
      ? []
      : [
          { op: 'test', path: `/webhooks/${at}/name`, value: name },
          { op: 'add', path: `/webhooks/${at}/clientConfig/caBundle`, value: caBundle },
        ],
  );
  if (body.length > 0) await askApi(server, path, { method: 'PATCH', body });
}
