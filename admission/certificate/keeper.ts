// Keeps a CA and a serving certificate in a Secret and the CA in the webhook configurations. Each replica serves what the Secret holds. One of
// them, the leader, makes what is missing or comes to its end. Every write fails if another one was faster, so that two leaders do no harm.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../host/base/log.ts';
import { within } from '../../host/base/within.ts';
import { apiFailure } from '../../host/kube/api-failure.ts';
import type { Lease } from '../../host/kube/lease.ts';
import type { KeyPair } from './issue.ts';
import { canServe, type Material, nextStep, type Step, withAuthority } from './plan.ts';
import type { Store } from './store.ts';

export interface KeeperOptions {
  readonly store: Store;
  readonly lease: Lease;
  /** DNS names under which callers reach us. */
  readonly names: readonly [string, ...string[]];
  readonly log: Logger;
  /** Called with each certificate that is to be served from now on. */
  readonly serve: (pair: KeyPair) => void;
  /** Milliseconds between two looks. Default 5000. */
  readonly every?: number;
  /** Milliseconds that all API servers may need to hear of a new CA. Default 20 000. */
  readonly settle?: number;
}

export interface Keeper {
  /** Why there is no certificate, or why it can't be kept; undefined when all is well. */
  problem(): string | undefined;
  readonly leads: boolean;
  /** Lets another replica lead. */
  close(): Promise<void>;
}

const permissions = 'that deploy/components/admission gives it';

/** Days. A CA is replaced after two thirds of its life, as a certificate is. */
const life = { 'new authority': 730, 'new certificate': 90 } as const satisfies Readonly<Record<Step, number>>;

export function keepCertificate(options: KeeperOptions): Keeper {
  const { log, lease, every = 5000 } = options;
  const ending = new AbortController();
  const state: State = { problem: 'no certificate was read yet', leads: false };
  const looking = (async () => {
    while (!ending.signal.aborted) {
      await look(options, state).catch((error: unknown) => {
        const problem = `the certificate can't be kept: ${apiFailure(error, permissions)}`;
        if (problem !== state.problem) log.warn(problem);
        state.problem = problem;
      });
      const wait = state.served === undefined ? Math.min(every, 1000) : every;
      await sleep(wait, undefined, { signal: ending.signal, ref: false }).catch(() => {});
    }
  })();
  return {
    problem: () => (state.served === undefined ? state.problem : undefined),
    get leads() {
      return state.leads;
    },
    close: async () => {
      ending.abort();
      await within(2000, looking, () => {});
      if (state.leads) await within(2000, lease.release(), () => {}).catch(() => {});
    },
  };
}

interface State {
  problem: string | undefined;
  leads: boolean;
  served?: string;
  /** The newest CA, and since when all webhook configurations have it, by our own clock. */
  trusted?: { readonly authority: string; readonly since: number };
}

async function look(options: KeeperOptions, state: State): Promise<void> {
  const { store, lease, serve, log } = options;
  const [read, leads] = await Promise.all([store.read(), lease.hold().catch((error: unknown) => notLeading(error, log, state))]);
  if (leads !== state.leads)
    log.info({ leads }, leads ? 'this replica keeps the certificate' : 'another replica keeps the certificate');
  state.leads = leads;
  const material = leads ? await keep(options, state, read) : read;
  const { certificate, key } = material;
  if (certificate === undefined || key === undefined || !canServe({ certificate, key })) {
    state.problem = 'the Secret holds no certificate yet; the leading replica makes one';
    return;
  }
  state.problem = undefined;
  if (certificate === state.served) return;
  serve({ certificate, key });
  state.served = certificate;
  log.info('serving with a new certificate');
}

function notLeading(error: unknown, log: Logger, state: State): boolean {
  if (state.leads) log.warn({ error: apiFailure(error, permissions) }, 'the Lease can not be renewed');
  return false;
}

/** Makes what is due, and tells the webhook configurations. */
async function keep({ store, names, log, settle = 20_000 }: KeeperOptions, state: State, read: Material): Promise<Material> {
  let material = read;
  for (let steps = 0; steps < 3; steps++) {
    const since = state.trusted?.authority === material.authorities[0] ? state.trusted?.since : undefined;
    const trustedFor = since === undefined ? undefined : performance.now() - since;
    const step = nextStep(material, { now: Date.now(), names, trustedFor, settle });
    if (step === undefined) break;
    const made = await make(step, material, names);
    if (!(await store.write(made))) return material;
    log.info({ step, days: life[step] }, 'made and kept in the Secret');
    material = made;
  }
  const [authority] = material.authorities;
  await store.trust(material.authorities);
  if (authority !== undefined && state.trusted?.authority !== authority) state.trusted = { authority, since: performance.now() };
  return material;
}

async function make(step: Step, material: Material, names: KeeperOptions['names']): Promise<Material> {
  // It is loaded only where something is made, because it takes memory.
  const { issueAuthority, issueServing } = await import('./issue.ts');
  const validity = { now: Date.now(), days: life[step] };
  if (step === 'new authority') {
    const { certificate, key } = await issueAuthority('smartnic-admission', validity);
    return { ...material, authorities: withAuthority(material, certificate, validity.now), authorityKey: key };
  }
  const [certificate = '', key = ''] = [material.authorities[0], material.authorityKey];
  return { ...material, ...(await issueServing({ certificate, key }, names, validity)) };
}
