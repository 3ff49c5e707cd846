// The keeper of a certificate, with a Secret in memory in place of the API server's.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { pino } from 'pino';
import type { KeyPair } from '../../../../admission/certificate/issue.ts';
import { type Keeper, keepCertificate } from '../../../../admission/certificate/keeper.ts';
import type { Material } from '../../../../admission/certificate/plan.ts';
import { until } from '../../../support/until.ts';

const empty: Material = { authorities: [] };
const names = ['a.kube-system.svc'] as const;

/** A Secret, a Lease, and what webhook configurations trust. */
class FakeCluster {
  material = empty;
  version = 0;
  trusted: readonly string[] = [];
  leader: string | undefined;
  /** In the order in which it happened: what was trusted and what was served. */
  readonly events: string[] = [];
  failing: Error | undefined;

  keeper(identity: string, served: KeyPair[]): Keeper {
    let read = -1;
    return keepCertificate({
      ...{ names, log: pino({ level: 'silent' }), every: 10, settle: 100 },
      store: {
        read: async () => {
          if (this.failing !== undefined) throw this.failing;
          read = this.version;
          return this.material;
        },
        write: async (material) => {
          if (read !== this.version) return false;
          read = ++this.version;
          this.material = material;
          return true;
        },
        trust: async (authorities) => {
          if (authorities.join() !== this.trusted.join()) this.events.push(`${authorities.length} trusted`);
          this.trusted = authorities;
        },
      },
      lease: {
        hold: async () => {
          this.leader ??= identity;
          return this.leader === identity;
        },
        release: async () => {
          if (this.leader === identity) this.leader = undefined;
        },
      },
      serve: (pair) => {
        this.events.push(`${identity} serves`);
        served.push(pair);
      },
    });
  }
}

describe('the keeper of the certificate', () => {
  let cluster: FakeCluster;
  let keepers: Keeper[];
  beforeEach(() => {
    cluster = new FakeCluster();
    keepers = [];
  });
  afterEach(async () => void (await Promise.all(keepers.map((each) => each.close()))));
  const start = (identity: string) => {
    const served: KeyPair[] = [];
    keepers.push(cluster.keeper(identity, served));
    return { keeper: keepers.at(-1), served };
  };

  it('makes one from nothing, which callers trust before it is served; the other replica serves the same', async () => {
    const [a, b] = [start('a'), start('b')];
    ok(a.keeper?.problem() !== undefined);
    await until(async () => a.served.length > 0 && b.served.length > 0, 'both serve');
    deepEqual(a.served, b.served);
    deepEqual(cluster.trusted, cluster.material.authorities);
    equal(cluster.events[0], '1 trusted');
    equal(a.keeper?.problem(), undefined);
  });

  it('serves a certificate of a new CA only when both CAs have been trusted for a while', async () => {
    const { served } = start('a');
    await until(async () => served.length === 1, 'it serves');
    const first = cluster.material.authorities;
    cluster.material = { ...cluster.material, authorityKey: undefined };
    cluster.version++;
    await until(async () => cluster.trusted.length === 2, 'both are trusted');
    equal(served.length, 1);
    await until(async () => served.length === 2, 'it serves anew');
    deepEqual(cluster.trusted[1], first[0]);
    deepEqual(cluster.events, ['1 trusted', 'a serves', '2 trusted', 'a serves']);
  });

  it('goes on with what it serves when the API server is away, or somebody empties the Secret', async () => {
    const { keeper, served } = start('a');
    await until(async () => served.length === 1, 'it serves');
    cluster.failing = new Error('connect ECONNREFUSED');
    await new Promise((resolve) => setTimeout(resolve, 50));
    equal(keeper?.problem(), undefined);
    cluster.failing = undefined;
    cluster.material = empty;
    cluster.version++;
    await until(async () => served.length === 2, 'it serves anew');
  });

  it('is taken over by another replica when it ends', async () => {
    const [a, b] = [start('a'), start('b')];
    await until(async () => b.served.length === 1 && a.served.length === 1, 'both serve');
    await keepers.shift()?.close();
    cluster.material = { ...cluster.material, certificate: undefined, key: undefined };
    cluster.version++;
    await until(async () => b.served.length === 2, 'the other one makes the next');
    equal(a.served.length, 1);
  });

  it('says why there is none', async () => {
    cluster.failing = Object.assign(new Error('HTTP-Code: 403'), { code: 403, body: '{"message":"secrets is forbidden"}' });
    const { keeper } = start('a');
    const words = "the certificate can't be kept: 403 Forbidden: secrets is forbidden; the account needs the permissions";
    await until(async () => keeper?.problem()?.startsWith(words) === true, 'the words');
  });
});
