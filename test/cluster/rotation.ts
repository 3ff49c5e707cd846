// Pods that are created while the certificate of the admission webhook changes.
import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, eventually } from './cluster.ts';
import { pod } from './pods.ts';

const ours = ['-n', 'kube-system'] as const;

/** Pods one after the other until `done`, and at least so many. @returns how many there were, and how many nobody had mutated. */
export async function creating(cluster: Cluster, least: number, done: () => boolean) {
  const list = {
    apiVersion: 'v1',
    kind: 'List',
    items: Array.from({ length: 50 }, (_, at) => pod(`p${at}`, { networks: 'vf' })),
  };
  const input = JSON.stringify(list);
  let [created, without] = [0, 0];
  while (created < least || !done()) {
    const limit = '-o=jsonpath={.spec.containers[0].resources.limits.smartnic\\.io/direct}{"\\n"}';
    const answer = await cluster.run('kubectl', ['create', '--dry-run=server', '-f', '-', limit], { input });
    // One line for each pod; empty for one without a limit. `run` takes the last newline away.
    const lines = answer.split('\n');
    created += list.items.length;
    without += list.items.length - lines.filter((line) => line === '1').length;
  }
  return { created, without };
}

/** Takes this key out of the Secret, so that it is made anew and a certificate with it. None of 500 pods may be created without the webhook. */
export async function losesNone(cluster: Cluster, key: 'tls.crt' | 'ca.key'): Promise<void> {
  const before = await secretOf(cluster);
  const rotation = { done: false };
  const rotated = (async () => {
    await sleep(1000);
    const patch = JSON.stringify([{ op: 'remove', path: `/data/${key}` }]);
    await cluster.kubectl(...ours, 'patch', 'secret', 'smartnic-admission', '--type=json', '-p', patch);
    await eventually('both are new', 60, async () => {
      const now = await secretOf(cluster);
      assert.ok([key, 'tls.crt'].every((each) => now[each] && now[each] !== before[each]));
    });
    await sleep(7000); // until both replicas have read it
    rotation.done = true;
  })();
  const { created, without } = await creating(cluster, 500, () => rotation.done).finally(() => rotated);
  console.log(`      ${created} creations`);
  assert.equal(without, 0);
}

/** What the Secret of the webhook's certificate holds. */
export async function secretOf(cluster: Cluster): Promise<Readonly<Record<string, string>>> {
  const { data } = await cluster.get(...ours, 'secret', 'smartnic-admission');
  return data;
}
