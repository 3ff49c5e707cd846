// The certificate with which this replica serves: our own, kept in a Secret, or one that somebody else puts into a directory.

import type { Logger } from '../../host/base/log.ts';
import { followTexts } from '../../host/files/follow-text.ts';
import type { ApiServer } from '../../host/kube/json-api.ts';
import { openLease } from '../../host/kube/lease.ts';
import type { KeyPair } from './issue.ts';
import { keepCertificate } from './keeper.ts';
import { canServe, endOf } from './plan.ts';
import { openStore } from './store.ts';

export interface CertificateOptions {
  readonly server: ApiServer;
  readonly log: Logger;
  readonly namespace: string;
  /** Of Service, Secret, Lease and webhook configurations. */
  readonly name: string;
  /** This replica's own. */
  readonly identity: string;
  /** With tls.crt and tls.key, as a Secret of that type is mounted. Absent: our own. */
  readonly directory: string | undefined;
  readonly serve: (pair: KeyPair) => void;
}

export interface Certificate {
  /** Why there is none; undefined when one is served. */
  problem(): string | undefined;
  /** In milliseconds since 1970. */
  end(): number | undefined;
  close(): Promise<void>;
}

export function openCertificate({ server, log, namespace, name, identity, directory, ...rest }: CertificateOptions): Certificate {
  let served: KeyPair | undefined;
  const serve = (pair: KeyPair) => {
    rest.serve(pair);
    served = pair;
  };
  const end = () => endOf(served?.certificate);
  if (directory === undefined) {
    const names = [`${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`] as const;
    const lease = openLease(server, { namespace, name, identity });
    const keeper = keepCertificate({ store: openStore(server, namespace, name), lease, names, log, serve });
    return { problem: keeper.problem, end, close: keeper.close };
  }
  const watch = followTexts({
    ...{ directory, names: ['tls.crt', 'tls.key'], log },
    changed: ([certificate, key]) => {
      if (certificate === undefined || key === undefined) return;
      if (!canServe({ certificate, key })) throw new Error('tls.crt and tls.key are not a certificate and its key');
      serve({ certificate, key });
    },
  });
  return {
    problem: () => (served === undefined ? `${directory} has no tls.crt and tls.key that belong together` : undefined),
    end,
    close: async () => watch.close(),
  };
}
