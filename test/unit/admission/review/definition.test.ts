// What is filled in and what is said about a NetworkAttachmentDefinition.
import { deepEqual, equal, match } from 'node:assert/strict';
import { judgeDefinition, mutateDefinition } from '../../../../admission/review/definition.ts';
import type { Definition } from '../../../../network/definition.ts';
import { definition, patched, resourceName } from '../../../support/admission.ts';

const [direct, virtio] = ['smartnic.io/direct', 'smartnic.io/virtio-forwarder'];

describe('the annotation resourceName of a network', () => {
  const rows: readonly (readonly [string, Definition, string | undefined])[] = [
    ['is the resource of its type', definition('n', { vnicType: 'direct' }), direct],
    ['is its key "resource"', definition('n', { vnicType: 'direct', resource: 'example.com/dpdk' }), 'example.com/dpdk'],
    ['is its key "resource", whatever pods choose', definition('n', { resource: 'example.com/dpdk' }), 'example.com/dpdk'],
    ['is the one that comes into question', definition('n', { allowedVnicTypes: ['normal', 'virtio-forwarder'] }), virtio],
    ['is left out where pods choose between two', definition('n'), undefined],
    ['is left out where nothing is reserved', definition('n', { vnicType: 'normal' }), undefined],
    ['is left out of a configuration that is refused', definition('n', { vnicType: 'direct', vlna: 1 }), undefined],
    ["is left out of other plugins' networks", definition('n', { type: 'sriov', vnicType: 'direct' }), undefined],
    ['is left out of what is no JSON', { namespace: 'shop', name: 'n', annotations: {}, config: '{' }, undefined],
    ['stays as it was written', definition('n', { vnicType: 'direct' }, virtio), virtio],
  ];
  for (const [name, given, resource] of rows)
    it(name, () => {
      for (const annotations of [given.annotations, { ...given.annotations, other: 'a/b~c' }]) {
        const object = { metadata: { annotations: Object.keys(annotations).length === 0 ? undefined : annotations } };
        const after = patched(object, mutateDefinition({ ...given, annotations }));
        deepEqual(
          { ...after.metadata.annotations },
          { ...annotations, ...(resource === undefined ? {} : { [resourceName]: resource }) },
        );
        deepEqual(mutateDefinition({ ...given, annotations: after.metadata.annotations ?? {} }), []);
      }
    });
});

describe('a network', () => {
  const rows: readonly (readonly [string, Definition, RegExp | undefined])[] = [
    ['that is as it should be', definition('n', { vnicType: 'direct', vlan: 5 }, direct), undefined],
    ['of another plugin, whose keys are not ours', definition('n', { type: 'sriov', vlan: 'x' }, 'intel.com/vf'), undefined],
    ['with an unknown key', definition('n', { vlna: 5 }), /^unknown key "vlna"; known keys: /],
    ['with a wrong value', definition('n', { vlan: 5000 }), /^vlan: 5000 is above the greatest, 4094$/],
    [
      'with an unknown type',
      definition('n', { vnicType: 'vf' }),
      /^vnicType: "vf" is not one of normal, direct, virtio-forwarder$/,
    ],
    [
      'whose type is not among those it allows',
      definition('n', { vnicType: 'direct', allowedVnicTypes: ['normal'] }),
      /is not among allowedVnicTypes/,
    ],
    ['with a name that no runtime takes', definition('n', { name: 'a b' }), /^name: invalid network name "a b"/],
    ['without a name, which Multus adds', definition('n', { name: undefined }), undefined],
    [
      'of a CNI version that there is not',
      definition('n', { cniVersion: '2.0.0' }),
      /^cniVersion: incompatible CNI versions: config is "2.0.0"/,
    ],
    ['without a CNI version', definition('n', { cniVersion: undefined }), /config is "0.1.0"/],
    [
      'in a list',
      definition('n', { type: undefined, bridge: undefined, plugins: [{ type: 'smartnic', vlan: 1 }] }),
      /^bridge: is missing$/,
    ],
    [
      'whose key "resource" and annotation differ',
      definition('n', { vnicType: 'direct', resource: 'example.com/dpdk' }, direct),
      /^annotation k8s.v1.cni.cncf.io\/resourceName: is "smartnic.io\/direct", but the network takes example.com\/dpdk; set the key "resource" and/,
    ],
    [
      'that hands out what it does not take',
      definition('n', { vnicType: 'direct' }, 'example.com/dpdk'),
      /but the network takes smartnic.io\/direct or smartnic.io\/virtio-forwarder; set the key "resource", which is absent, and/,
    ],
    [
      'with a device by hand',
      definition('n', { deviceID: '0000:01:00.1' }),
      /^deviceID: "0000:01:00.1" is written by hand; leave deviceID to Multus/,
    ],
  ];
  for (const [name, given, refusal] of rows)
    it(`${name} is ${refusal === undefined ? 'taken' : 'refused'}`, () => {
      const verdict = judgeDefinition(given, {});
      if (refusal === undefined) equal(verdict.refusal, undefined);
      else match(verdict.refusal ?? '', refusal);
      deepEqual(verdict.warnings, []);
    });

  it('that was wrong already can still get a label, with a warning', () => {
    const wrong = definition('n', { vlna: 5 });
    const verdict = judgeDefinition(wrong, {}, wrong);
    equal(verdict.refusal, undefined);
    match(verdict.warnings[0] ?? '', /^unknown key "vlna"/);
    match(judgeDefinition(wrong, {}, definition('n', { vlan: 5 })).refusal ?? '', /^unknown key "vlna"/);
  });

  it('that allows only veths needs no resourceName', () => {
    const { warnings } = judgeDefinition(definition('n', { allowedVnicTypes: ['normal'] }, direct), {});
    match(
      warnings[0] ?? '',
      /^annotation k8s.v1.cni.cncf.io\/resourceName: is of no use, because the network allows only normal$/,
    );
  });

  it('of which no pool has the resource is taken, with a warning', () => {
    const { warnings } = judgeDefinition(definition('n', { vnicType: 'direct' }), { offered: new Set([virtio]) });
    match(warnings[0] ?? '', /^no pool offers smartnic.io\/direct, which this network takes/);
  });
});
