// The same pods, seen by network-resources-injector and by us. Its rules as facts, read in its webhook (main branch): each network's annotation
// counts one of that resource; without `honor-resources`, a resource that occurs in any container is left alone; with it, the count is added to
// what the first container has. Both write to the first container. It reads neither the network's configuration nor any type.
import { deepEqual } from 'node:assert/strict';
import { mutatePod } from '../../../../admission/review/judge.ts';
import type { Pod } from '../../../../admission/review/pod.ts';
import type { Definition } from '../../../../network/definition.ts';
import { selectionsOf } from '../../../../network/selections.ts';
import {
  byName,
  definition,
  type Limits,
  limitsOf,
  type PodWords,
  patched,
  podOf,
  resourceName,
} from '../../../support/admission.ts';

const [direct, virtio] = ['smartnic.io/direct', 'smartnic.io/virtio-forwarder'];
const definitions = byName(
  definition('vf', { vnicType: 'direct' }, direct),
  definition('silent', { vnicType: 'direct' }),
  definition('any', {}, direct),
  definition('sriov', { type: 'sriov' }, 'intel.com/vf'),
);

/** Limits of the first container that it makes; `refused` where it denies the pod. */
function injector(pod: Pod, known: ReadonlyMap<string, Definition>, honor: boolean): Limits | 'refused' {
  const named = selectionsOf(pod.metadata.annotations ?? {}, 'shop').map(({ namespace, name }) =>
    known.get(`${namespace}/${name}`),
  );
  if (named.includes(undefined)) return 'refused';
  const resources = named.flatMap((each) => each?.annotations[resourceName] ?? []);
  const all = pod.spec.containers.flatMap((each) => Object.keys(each.resources?.limits ?? {}));
  const first = pod.spec.containers[0]?.resources?.limits ?? {};
  const counts = [...Map.groupBy(resources, (each) => each)].filter(([resource]) => honor || !all.includes(resource));
  const added = counts.map(([resource, each]) => [resource, String(each.length + (honor ? Number(first[resource] ?? 0) : 0))]);
  return { ...first, ...Object.fromEntries(added) };
}

interface Row {
  readonly pod: PodWords;
  readonly theirs: Limits | 'refused';
  /** With `honor-resources`, where that differs. */
  readonly honoring?: Limits;
  readonly ours: Limits;
}

const one = { [direct]: '1' };

const rows: Readonly<Record<string, Row>> = {
  'one VF': { pod: { networks: 'vf' }, theirs: one, ours: one },
  'two VFs': { pod: { networks: 'vf,vf' }, theirs: { [direct]: '2' }, ours: { [direct]: '2' } },
  'a network without the annotation': { pod: { networks: 'silent' }, theirs: {}, ours: one },
  'another type than the network is annotated for': {
    pod: { networks: 'any', vnicType: 'virtio-forwarder' },
    theirs: one,
    ours: { [virtio]: '1' },
  },
  'a veth on a network for VFs': { pod: { networks: 'any' }, theirs: one, ours: {} },
  "another plugin's network": { pod: { networks: 'sriov' }, theirs: { 'intel.com/vf': '1' }, ours: {} },
  'enough by hand': { pod: { networks: 'vf', containers: { app: one } }, theirs: one, honoring: { [direct]: '2' }, ours: one },
  'too few by hand': {
    pod: { networks: 'vf,vf', containers: { app: one } },
    theirs: one,
    honoring: { [direct]: '3' },
    ours: { [direct]: '2' },
  },
  'by hand in the second container': {
    pod: { networks: 'vf', containers: { app: {}, other: one } },
    theirs: {},
    honoring: one,
    ours: {},
  },
  'a network that is not there': { pod: { networks: 'gone' }, theirs: 'refused', ours: {} },
};

describe('network-resources-injector and admission, for the same pod', () => {
  for (const [name, { pod: words, theirs, honoring, ours }] of Object.entries(rows))
    it(name, () => {
      const pod = podOf(words);
      const firstOf = (each: Pod) => limitsOf(each)[pod.spec.containers[0]?.name ?? ''] ?? {};
      deepEqual(injector(pod, definitions, false), theirs);
      deepEqual(injector(pod, definitions, true), honoring ?? theirs);
      deepEqual(firstOf(patched(pod, mutatePod(pod, 'shop', { definitions }))), ours);
    });
});
