// What is added to a pod, and what is said about it: a table of pods and networks.
import { deepEqual, equal, match } from 'node:assert/strict';
import { judgePod, mutatePod } from '../../../../admission/review/judge.ts';
import type { Definition } from '../../../../network/definition.ts';
import { byName, definition, limitsOf, type PodWords, patched, podOf } from '../../../support/admission.ts';

const [direct, virtio, dpdk] = ['smartnic.io/direct', 'smartnic.io/virtio-forwarder', 'example.com/dpdk'];
const foreign = { type: 'macvlan', bridge: undefined };

const networks: readonly Definition[] = [
  definition('plain'),
  definition('veth', { allowedVnicTypes: ['normal'] }),
  definition('vf', { vnicType: 'direct' }, direct),
  definition('socket', { vnicType: 'virtio-forwarder' }, virtio),
  definition('dpdk', { vnicType: 'direct', resource: dpdk }, dpdk),
  definition('quick', { maxTxRate: 100 }),
  definition('vlan', foreign),
  definition('sriov', { type: 'sriov' }, 'intel.com/vf'),
  definition('broken', { vlann: 5 }),
  { namespace: 'shop', name: 'file', annotations: {} },
  definition('main', { vnicType: 'direct' }, direct, 'kube-system'),
  definition('list', { type: undefined, bridge: undefined, plugins: [{ type: 'smartnic', bridge: 'b', vnicType: 'direct' }] }),
];

interface Row {
  readonly pod: PodWords;
  readonly main?: string;
  readonly offered?: readonly string[];
  /** Limits by container afterwards. Absent: the pod is left as it is. */
  readonly limits?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly refused?: RegExp;
  readonly warned?: readonly RegExp[];
}

const one = { app: { [direct]: '1' } };

const rows: Readonly<Record<string, Row>> = {
  'no annotation: nothing': { pod: {} },
  'other plugins’ networks: nothing, whatever they hand out': { pod: { networks: 'vlan, sriov, file' } },
  'a network of veths: nothing': { pod: { networks: 'veth@net1' } },
  'a type of which all are normal: nothing': { pod: { networks: 'plain,plain', vnicType: 'normal' } },
  'one word for all interfaces': { pod: { networks: 'plain, plain', vnicType: 'direct' }, limits: { app: { [direct]: '2' } } },
  "the network's own type": { pod: { networks: 'vf@eth5' }, limits: one },
  'a list of plugins': { pod: { networks: 'list' }, limits: one },
  'all three types on one network': {
    pod: { networks: 'plain@net1,plain@net2,plain@net3', vnicType: '{"net2":"direct","net3":"virtio-forwarder"}' },
    limits: { app: { [direct]: '1', [virtio]: '1' } },
  },
  'an interface without a name of its own is counted from 1': {
    pod: { networks: 'vlan,plain', vnicType: '{"net2":"direct"}' },
    limits: one,
  },
  'the annotation by the name of the network': { pod: { networks: 'plain', vnicType: '{"plain":"direct"}' }, limits: one },
  'the JSON notation, with cni-args over everything': {
    pod: {
      networks: JSON.stringify([
        { name: 'plain', interface: 'a', 'cni-args': { vnicType: 'direct' } },
        { name: 'vf', namespace: 'shop', 'cni-args': { vnicType: 'normal' } },
      ]),
    },
    limits: one,
  },
  "the key resource of the network is the pool's": {
    pod: { networks: 'dpdk,vf' },
    limits: { app: { [dpdk]: '1', [direct]: '1' } },
  },
  'a default network of its own, in the namespace of Multus': {
    pod: { main: 'main', networks: 'socket' },
    limits: { app: { [direct]: '1', [virtio]: '1' } },
  },
  'the main network of the cluster, where it is ours': {
    pod: { vnicType: 'direct' },
    main: JSON.stringify({ cniVersion: '1.1.0', name: 'pods', plugins: [{ type: 'smartnic', bridge: 'br-int' }] }),
    limits: one,
  },
  'a default network of its own in place of the main network': {
    pod: { main: 'shop/veth', vnicType: 'normal' },
    main: JSON.stringify({ cniVersion: '1.1.0', name: 'pods', type: 'smartnic', bridge: 'b', vnicType: 'direct' }),
  },
  'limits by hand that are enough stay': { pod: { networks: 'vf', containers: one } },
  'limits by hand in another container count': { pod: { networks: 'vf', containers: { app: {}, dpdk: { [direct]: 1 } } } },
  'limits by hand that are too few are raised': {
    pod: { networks: 'vf,vf,vf', containers: { app: { [direct]: '1', cpu: '2' }, more: { [direct]: '1' } } },
    limits: { app: { [direct]: '2', cpu: '2' }, more: { [direct]: '1' } },
  },
  'limits by hand that are too many stay, with a warning': {
    pod: { networks: 'vf', containers: { app: { [direct]: '1k' } } },
    warned: [/^resources.limits ask for 1000 of smartnic.io\/direct, but the pod's interfaces take 1/],
  },
  'a quantity of thousandths is a number, too': { pod: { networks: 'vf', containers: { app: { [direct]: '1000m' } } } },
  'the container that the annotation names': {
    pod: { networks: 'vf', container: 'dpdk', containers: { app: {}, dpdk: { cpu: '1' } } },
    limits: { dpdk: { cpu: '1', [direct]: '1' } },
  },
  'a sidecar that the annotation names': {
    pod: { networks: 'vf', container: 'proxy', inits: { setup: {} }, sidecars: { proxy: {} } },
    limits: { proxy: { [direct]: '1' } },
  },
  'what a sidecar asks for counts': { pod: { networks: 'vf', sidecars: { proxy: { [direct]: '1' } } } },
  'what an init container asks for does not, because kubelet gives the same device to a container later': {
    pod: { networks: 'vf', inits: { setup: { [direct]: '1' } } },
    limits: { setup: { [direct]: '1' }, app: { [direct]: '1' } },
  },
  'a container that there is not': {
    pod: { networks: 'vf', container: 'dpkd' },
    refused: /^annotation smartnic.io\/container: "dpkd" is not a container .* write one of app$/,
  },
  'an init container that ends': {
    pod: { networks: 'vf', container: 'setup', inits: { setup: {} } },
    refused: /"setup" is not a container of this pod that lasts/,
  },
  'an unknown type': {
    pod: { networks: 'plain', vnicType: 'vf' },
    refused: /^annotation smartnic.io\/vnic-type: unknown vnic type "vf"; write one of normal, direct/,
  },
  'an unknown type, though no network is ours': {
    pod: { vnicType: '{"net1":"sriov"}' },
    refused: /for "net1": unknown vnic type "sriov"/,
  },
  'a type that the network does not allow': {
    pod: { networks: 'veth', vnicType: 'direct' },
    refused: /^vnicType: network "veth" does not allow "direct" \(asked for interface net1\)/,
  },
  'a promise that the type can’t keep': {
    pod: { networks: 'quick' },
    refused: /^maxTxRate: 100 can't be had with vnic type normal/,
  },
  'a network that the CNI server would not read': {
    pod: { networks: 'broken' },
    refused: /^unknown key "vlann"; known keys: name, type, bridge,/,
  },
  'a bad word in cni-args': {
    pod: { networks: '[{"name":"plain","cni-args":{"vnicType":7}}]' },
    refused: /^args.cni.vnicType: unknown vnic type 7/,
  },
  'a MAC that the network does not let pods choose': {
    pod: { networks: '[{"name":"plain","cni-args":{"mac":"02:00:00:00:00:01"}}]' },
    refused: /^args.cni.mac: "02:00:00:00:00:01" is asked for by the pod, but network "plain" chooses the MAC itself/,
  },
  'a device by hand': {
    pod: { networks: '[{"name":"vf","deviceID":"0000:01:00.1"}]' },
    refused: /^deviceID: "0000:01:00.1" is written by hand for interface net1/,
  },
  'a network that is not there, of a pod that wants a type': {
    pod: { networks: 'gone', vnicType: 'direct' },
    refused: /^there is no NetworkAttachmentDefinition shop\/gone/,
  },
  'a network that is not there, of any pod': {
    pod: { networks: 'other/gone@net7' },
    warned: [/NetworkAttachmentDefinition other\/gone, which this pod names for interface net7/],
  },
  'the same interface twice': {
    pod: { networks: 'plain@net2, vlan' },
    refused: /^interface net2 is asked for by shop\/plain and shop\/vlan/,
  },
  'an annotation that Multus does not understand': {
    pod: { networks: 'Plain' },
    warned: [/^annotation k8s.v1.cni.cncf.io\/networks: "Plain" is not of the form/],
  },
  'the own network of the node': {
    pod: { networks: 'vf', hostNetwork: true },
    refused: /^hostNetwork: no CNI plugin is called .* networks shop\/vf/,
  },
  'the own network of the node, with nothing of ours': { pod: { networks: 'vlan', hostNetwork: true } },
  'the own network of the node and our annotation': {
    pod: { vnicType: 'normal', hostNetwork: true },
    refused: /its annotation smartnic.io\/vnic-type/,
  },
  'words for an interface that there is not': {
    pod: { networks: 'plain', vnicType: '{"net2":"direct"}' },
    warned: [
      /^annotation smartnic.io\/vnic-type: "net2" is neither an interface nor a network of this pod; there are: net1, plain$/,
    ],
  },
  'a type that no pool serves': {
    pod: { networks: 'vf' },
    offered: [virtio],
    limits: one,
    warned: [
      /^no pool offers smartnic.io\/direct, which interface net1 takes as direct, .* there are: smartnic.io\/virtio-forwarder$/,
    ],
  },
  'a network that hands out a device of another type': {
    pod: { networks: 'vf@a,vf@b', vnicType: '{"a":"virtio-forwarder"}' },
    limits: { app: { [virtio]: '1', [direct]: '1' } },
    refused:
      /^deviceID: smartnic.io\/direct#001 is pod shop\/web's as smartnic.io\/direct, but network "vf" takes smartnic.io\/virtio-forwarder/,
  },
  'two networks of one resource, of which only the second hands it out': {
    pod: { networks: 'plain@a,vf@b', vnicType: 'direct' },
    limits: { app: { [direct]: '2' } },
    warned: [/^interfaces a and b may reach for the same smartnic.io\/direct/],
  },
  'more networks than a person would name': {
    pod: { networks: Array(101).fill('vf').join(), vnicType: 'direct' },
    warned: [/^this pod names 101 networks/],
  },
};

describe('a pod', () => {
  for (const [name, { pod: words, main, offered, limits, refused, warned = [] }] of Object.entries(rows))
    it(name, () => {
      const pod = podOf(words);
      const world = {
        ...{ definitions: byName(...networks), mainNetwork: { namespace: '', name: '', annotations: {}, config: main } },
        ...(offered === undefined ? {} : { offered: new Set(offered) }),
      };
      const patch = mutatePod(pod, 'shop', world);
      const after = patched(pod, patch);
      deepEqual(limitsOf(after), limits ?? limitsOf(pod));
      equal(patch.length, limits === undefined ? 0 : 1);
      for (const { resources } of after.spec.containers) deepEqual(resources?.requests ?? {}, resources?.limits ?? {});
      const verdict = judgePod(after, 'shop', world);
      match(verdict.refusal ?? '', refused ?? /^$/);
      equal(verdict.warnings.length, warned.length, verdict.warnings.join('\n'));
      for (const [at, words] of warned.entries()) match(verdict.warnings[at] ?? '', words);
    });

  it("whose init container has the VF is not refused: it is the pod's as well", () => {
    const pod = podOf({ networks: 'vf', inits: { setup: { [direct]: '1' } } });
    equal(judgePod(pod, 'shop', { definitions: byName(...networks) }).refusal, undefined);
  });

  it('that nobody reserved for is refused in the words of the CNI server', () => {
    const verdict = judgePod(podOf({ networks: 'vf' }), 'shop', { definitions: byName(...networks) });
    match(
      verdict.refusal ?? '',
      /^pod shop\/web has no smartnic.io\/direct \(it has no devices at all\), which network "vf" takes for direct; add/,
    );
  });
});
