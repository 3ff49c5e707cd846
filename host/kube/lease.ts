// Which of several processes leads: a Lease of the API server (coordination.k8s.io), taken and renewed by writes that fail when another one was
// faster. The clocks of two nodes are never compared: a Lease that did not change for its duration, by our own clock, is nobody's.

import { type ApiServer, askApi } from './json-api.ts';

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** This process' own. */
  readonly identity: string;
  /** Seconds. Default 15. */
  readonly duration?: number;
}

export interface Lease {
  /** Takes or renews it if it can. Says whether this process leads. @throws when the API server refuses or does not answer. */
  hold(): Promise<boolean>;
  /** Lets another one take it at once. */
  release(): Promise<void>;
}

interface LeaseObject {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string; readonly leaseTransitions?: number };
}

export function openLease(server: ApiServer, { namespace, name, identity, duration = 15 }: LeaseOptions): Lease {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
  let seen: { readonly version: string | undefined; readonly at: number } | undefined;
  const read = async () => (await askApi(server, path)) as LeaseObject;
  const write = async (lease: LeaseObject, holderIdentity: string) => {
    const now = new Date().toISOString().replace('Z', '000Z');
    const changed = lease.spec?.holderIdentity !== identity;
    const spec = {
      ...lease.spec,
      ...{ holderIdentity, leaseDurationSeconds: duration, renewTime: now },
      ...(changed ? { acquireTime: now, leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + 1 } : {}),
    };
    try {
      // The version of what was read goes along: whoever was faster makes this fail.
      await askApi(server, path, { method: 'PUT', body: { ...lease, spec } });
      return true;
    } catch (error) {
      if (Object(error).code === 409) return false;
      throw error;
    }
  };
  return {
    hold: async () => {
      const lease = await read();
      const holder = lease.spec?.holderIdentity ?? '';
      const version = lease.metadata.resourceVersion;
      if (holder === '' || holder === identity) return await write(lease, identity);
      if (seen?.version !== version) seen = { version, at: performance.now() };
      const silent = performance.now() - (seen?.at ?? 0) > duration * 1000;
      return silent && (await write(lease, identity));
    },
    release: async () => {
      const lease = await read();
      if (lease.spec?.holderIdentity === identity) await write(lease, '');
    },
  };
}
