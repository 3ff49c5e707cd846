// For any pod: what it asks for after admission is what the CNI server takes at ADD, interface by interface. Multus and kubelet are played here
// by their rules; the CNI server's part is its own code, from the reading of its stdin on.
import { deepEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { judgePod, mutatePod } from '../../../../admission/review/judge.ts';
import { askedBy, lastingContainers, type Pod } from '../../../../admission/review/pod.ts';
import { parseRequest } from '../../../../cni/protocol/request.ts';
import { chooseVnicType } from '../../../../network/annotation.ts';
import type { Definition } from '../../../../network/definition.ts';
import { chooseDevice, resourceOf } from '../../../../network/device.ts';
import { isOffered, vnicTypes } from '../../../../vnic/index.ts';
import { byName, definition, type PodWords, patched, podOf, resourceName } from '../../../support/admission.ts';

const resources = ['smartnic.io/direct', 'smartnic.io/virtio-forwarder', 'example.com/dpdk'] as const;
const type = fc.constantFrom(...vnicTypes);
const names = ['a', 'b', 'c', 'd'] as const;

const network = (name: string) =>
  fc
    .record(
      {
        vnicType: type,
        allowedVnicTypes: fc.uniqueArray(type, { minLength: 1 }),
        resource: fc.constantFrom(...resources),
        handsOut: fc.constantFrom(...resources),
        foreign: fc.boolean(),
        list: fc.boolean(),
        maxTxRate: fc.constant(100),
      },
      { requiredKeys: [] },
    )
    .map(({ handsOut, foreign, list, ...config }): Definition => {
      if (foreign === true) return definition(name, { type: 'macvlan', bridge: undefined }, handsOut);
      if (list !== true) return definition(name, config, handsOut);
      const plugins = [{ type: 'smartnic', bridge: 'br-int', ...config }, { type: 'tuning' }];
      return definition(name, { type: undefined, bridge: undefined, plugins }, handsOut);
    });

const selection = fc.record({
  name: fc.constantFrom(...names),
  named: fc.boolean(),
  args: fc.option(type, { nil: undefined, freq: 4 }),
});
const limits = fc.dictionary(fc.constantFrom(...resources, 'cpu'), fc.integer({ min: 1, max: 3 }), { maxKeys: 2 });
const podWords = fc
  .record({
    selections: fc.array(selection, { maxLength: 5 }),
    main: fc.option(fc.constantFrom(...names), { nil: undefined, freq: 4 }),
    vnicType: fc.option(
      fc.oneof(
        type,
        fc.dictionary(fc.constantFrom('i0', 'i1', 'net1', 'net2', 'net3', ...names), type).map((each) => JSON.stringify(each)),
      ),
      { nil: undefined },
    ),
    containers: fc.record({ app: limits, dpdk: limits }),
    sidecars: fc.record({ proxy: limits }),
    inits: fc.record({ setup: limits }),
    container: fc.option(fc.constantFrom('app', 'dpdk', 'proxy'), { nil: undefined }),
  })
  .map(({ selections, main, ...words }): PodWords => {
    const list = selections.map(({ name, named, args }, at) => ({
      name,
      ...(named ? { interface: `i${at}` } : {}),
      ...(args === undefined ? {} : { 'cni-args': { vnicType: args } }),
    }));
    return { ...words, networks: list.length === 0 ? undefined : JSON.stringify(list), main: main && `shop/${main}` };
  });

interface Plugged {
  /** The resource of each device that an interface took. */
  readonly took: readonly string[];
  readonly refusals: readonly string[];
}

/** @param shuffle - the order in which kubelet allocates. */
function plug(pod: Pod, definitions: ReadonlyMap<string, Definition>, shuffle: number): Plugged {
  const annotations = pod.metadata.annotations ?? {};
  const held = lastingContainers(pod).flatMap(({ container }) =>
    Object.entries(container.resources?.limits ?? {}).map(([resource, count]) => ({
      resource,
      ids: Array.from({ length: Number(count) }, (_, at) => `${resource}/${(at * 7 + shuffle) % 31}/${container.name}`),
    })),
  );
  // Kubelet takes what an init container has for the others first. The checkpoint names the devices of all, PodResources those that last.
  const inits = (pod.spec.initContainers ?? [])
    .filter(({ restartPolicy }) => restartPolicy !== 'Always')
    .flatMap(({ resources: own }) => Object.entries(own?.limits ?? {}))
    .map(([resource, count]) => {
      const lasting = held.filter((each) => each.resource === resource).flatMap(({ ids }) => ids);
      const more = Array.from({ length: Math.max(0, Number(count) - lasting.length) }, (_, at) => `${resource}/${at}/init`);
      return { resource, ids: [...lasting, ...more].slice(0, Number(count)) };
    });
  const map = () =>
    new Map([...Map.groupBy(held, ({ resource }) => resource)].map(([name, each]) => [name, each.flatMap(({ ids }) => ids)]));
  const taken = new Map<string, string>();
  const took: string[] = [];
  const refusals: string[] = [];
  const one = (
    element: { name: string; interface?: string; 'cni-args'?: object },
    ifname: string,
    handing: Map<string, string[]>,
  ) => {
    const found = definitions.get(`shop/${element.name}`);
    if (found === undefined) throw new Error(element.name);
    const deviceID = handing.get(found.annotations[resourceName] ?? '')?.shift();
    const whole = JSON.parse(found.config ?? '');
    const plugins = whole.plugins?.map((each: object) => ({ ...each, name: whole.name, cniVersion: whole.cniVersion })) ?? [
      whole,
    ];
    const ours = plugins.find((each: { type: string }) => each.type === 'smartnic');
    if (ours === undefined) return;
    const stdin = {
      ...{ ...ours, ...(deviceID === undefined ? {} : { deviceID, pciBusID: deviceID }) },
      ...(element['cni-args'] === undefined ? {} : { args: { cni: element['cni-args'] } }),
    };
    const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_NETNS: '/n', CNI_IFNAME: ifname, CNI_PATH: '/b' };
    try {
      const { config } = parseRequest(env, JSON.stringify(stdin));
      const chosen = chooseVnicType({ ifname, config, annotation: annotations['smartnic.io/vnic-type'] });
      if (chosen === 'normal' && config.maxTxRate !== undefined) throw new Error('maxTxRate is for VFs (add.ts)');
      if (!isOffered(chosen)) return;
      const resource = resourceOf(config, chosen);
      const words = { pod: 'shop/web', network: config.name, type: chosen, resource, taken, asked: config.deviceID };
      taken.set(chooseDevice([...held, ...inits], words), ifname);
      took.push(resource);
    } catch (error) {
      refusals.push(String(error));
    }
  };
  const main = annotations['v1.multus-cni.io/default-network'];
  if (main !== undefined) one({ name: main.replace('shop/', '') }, 'eth0', map());
  const handing = map();
  const list: { name: string; interface?: string }[] = JSON.parse(annotations['k8s.v1.cni.cncf.io/networks'] ?? '[]');
  for (const [at, element] of list.entries()) one(element, element.interface ?? `net${at + 1}`, handing);
  return { took, refusals };
}

const count = (list: readonly string[]) =>
  Object.fromEntries([...Map.groupBy(list, (each) => each)].map(([name, each]) => [name, each.length]));
const cases = { numRuns: Number(process.env['SMARTNIC_RUNS'] ?? 1000) };

describe('for any pod, admission', () => {
  const any = fc.tuple(fc.tuple(...names.map(network)), podWords, fc.nat(30));

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(any, ([definitions, words]) => {
        const world = { definitions: byName(...definitions) };
        const pod = podOf(words);
        const once = patched(pod, mutatePod(pod, 'shop', world));
        deepEqual(mutatePod(once, 'shop', world), []);
      }),
      cases,
    );
  });

  it('asks for what the CNI server takes, interface by interface, and refuses what it would refuse', () => {
    const seen = { allowed: 0, refused: 0, took: 0 };
    fc.assert(
      fc.property(any, ([definitions, words, shuffle]) => {
        const world = { definitions: byName(...definitions) };
        const before = podOf(words);
        const pod = patched(before, mutatePod(before, 'shop', world));
        const { refusal, warnings } = judgePod(pod, 'shop', world);
        const { took, refusals } = plug(pod, world.definitions, shuffle);
        if (refusal !== undefined) {
          seen.refused++;
          return ok(refusals.length > 0, `refused, and the CNI server does not: ${refusal}`);
        }
        seen.allowed++;
        seen.took += took.length;
        if (warnings.some((text) => text.includes('may reach for the same'))) return;
        deepEqual(refusals, []);
        const had = askedBy(before);
        for (const resource of resources) {
          const takes = count(took)[resource] ?? 0;
          deepEqual(askedBy(pod).get(resource) ?? 0, Math.max(takes, had.get(resource) ?? 0), resource);
        }
      }),
      cases,
    );
    ok(
      seen.allowed > cases.numRuns / 10 && seen.refused > cases.numRuns / 10 && seen.took > cases.numRuns / 10,
      JSON.stringify(seen),
    );
  });
});
