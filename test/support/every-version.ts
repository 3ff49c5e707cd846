// One pod interface through every command, in every CNI version: which commands a version has, and the shape of what it answers. The rules here
// are written after the specification (https://github.com/containernetworking/cni/blob/main/SPEC.md), apart from the code that they judge.
import assert from 'node:assert/strict';
import { type CniVersion, supportedVersions } from '../../cni/protocol/versions.ts';
import { refused, succeeded } from './answers.ts';
import type { CniAnswer, CniCall, TestNode } from './node.ts';

export interface VersionedType {
  readonly cni: TestNode['cni'];
  /** For a new pod, whose network has this version. */
  call(cniVersion: CniVersion): Promise<CniCall>;
  /** What the result of CNI 1.1.0 also says of the pod's interface, and no older one. */
  readonly since110: readonly ('mtu' | 'pciID' | 'socketPath')[];
  /** How many addresses and routes the network's IPAM plugin gives. */
  readonly ips: number;
  readonly routes: number;
}

interface Rules {
  readonly has: readonly string[];
  /** Keys of the lists' elements. Those with a question mark may be absent. */
  readonly interfaces: readonly string[];
  readonly ips: readonly string[];
  readonly routes: readonly string[];
}

const old = { interfaces: ['name', 'mac?', 'sandbox?'], routes: ['dst', 'gw?'] };
const versionedIps = ['version', 'address', 'gateway?', 'interface?'];
const rules: Readonly<Record<CniVersion, Rules>> = {
  '0.3.0': { ...old, has: [], ips: versionedIps },
  '0.3.1': { ...old, has: [], ips: versionedIps },
  '0.4.0': { ...old, has: ['CHECK'], ips: versionedIps },
  '1.0.0': { ...old, has: ['CHECK'], ips: ['address', 'gateway?', 'interface?'] },
  '1.1.0': {
    has: ['CHECK', 'STATUS', 'GC'],
    interfaces: [...old.interfaces, 'mtu?', 'socketPath?', 'pciID?'],
    ips: ['address', 'gateway?', 'interface?'],
    routes: [...old.routes, 'mtu?', 'advmss?', 'priority?', 'table?', 'scope?'],
  },
};

/** Call it in a `describe`; `type` is asked for when the tests run. Each test takes away what it plugged. */
export function everyVersion(type: () => VersionedType): void {
  for (const version of supportedVersions)
    it(`is plugged, checked and unplugged in CNI ${version}`, async () => {
      const { cni } = type();
      const call = await type().call(version);
      const ask = async (command: string, more: object = {}) =>
        await cni(command, { ...call, config: { ...(call.config as object), ...more } });
      /** A command that came with a later version is refused with the words of Go's skel. */
      const askIfThere = async (command: string, more: object) => {
        const answer = await ask(command, more);
        if (rules[version].has.includes(command)) succeeded(answer);
        else refused(answer, 1, new RegExp(`^config version does not allow ${command}$`));
      };
      const added = await ask('ADD');
      assert.equal(added.exit, 0, added.stdout);
      requireShape(added.json, version, call, type());
      const prevResult = added.json;
      await askIfThere('CHECK', { prevResult });
      await askIfThere('STATUS', {});
      const self = { containerID: call.containerId, ifname: call.ifname ?? 'eth0' };
      await askIfThere('GC', { 'cni.dev/valid-attachments': [self] });
      await askIfThere('CHECK', { prevResult });
      // Before 0.4.0 a runtime sent no result.
      succeeded(await ask('DEL', version.startsWith('0.3.') ? {} : { prevResult }));
      succeeded(await ask('DEL'));
      if (!rules[version].has.includes('GC')) return;
      assert.equal((await ask('ADD')).exit, 0);
      await askIfThere('GC', { 'cni.dev/valid-attachments': [] });
      assert.equal((await ask('CHECK', { prevResult })).exit, 1, 'the interface was not on the list');
      succeeded(await ask('DEL'));
    });
}

function requireShape(json: CniAnswer['json'], version: CniVersion, call: CniCall, type: VersionedType): void {
  const { interfaces, ips, routes } = rules[version];
  requireKeys(json, ['cniVersion', 'interfaces', 'ips?', 'routes?', 'dns'], 'the result');
  assert.equal(json.cniVersion, version);
  for (const each of json.interfaces) requireKeys(each, interfaces, 'an interface');
  const inPod = json.interfaces.filter((each: { readonly sandbox?: string }) => each.sandbox !== undefined);
  assert.deepEqual(
    inPod.map(({ name, sandbox }: { readonly name: string; readonly sandbox: string }) => [name, sandbox]),
    [[call.ifname ?? 'eth0', call.netns]],
  );
  for (const key of type.since110) assert.equal(key in inPod[0], version === '1.1.0', key);
  assert.deepEqual([json.ips?.length ?? 0, json.routes?.length ?? 0], [type.ips, type.routes]);
  for (const each of json.ips ?? []) {
    requireKeys(each, ips, 'an address');
    if ('version' in each) assert.equal(each.version, each.address.includes(':') ? '6' : '4');
    assert.equal(json.interfaces[each.interface], inPod[0], 'it is of the interface in the pod');
  }
  for (const each of json.routes ?? []) requireKeys(each, routes, 'a route');
}

function requireKeys(value: object, keys: readonly string[], what: string): void {
  const needed = keys.filter((key) => !key.endsWith('?'));
  const known = keys.map((key) => key.replace('?', ''));
  const there = Object.keys(value);
  assert.deepEqual(
    { missing: needed.filter((key) => !there.includes(key)), unknown: there.filter((key) => !known.includes(key)) },
    { missing: [], unknown: [] },
    `${what}: ${JSON.stringify(value)}`,
  );
}
