// The CNI server with the rights that deploy/ gives it, no more: what it does with them, and what each is for.
import assert from 'node:assert/strict';
import { chmod, chown } from 'node:fs/promises';
import { readManifests } from '../support/manifests.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { skipWithoutOvs } from '../support/ovs.ts';

const [daemonSet] = readManifests('base/daemonset.yaml');
const { containers } = daemonSet.spec.template.spec;
const granted: readonly string[] = containers.find(({ name }: { name: string }) => name === 'cni').securityContext.capabilities
  .add;

/** As a container of the runtime has them: nothing else can be had back. */
function withRights(names: readonly string[]): readonly string[] {
  const set = ['-all', ...names.map((name) => `+${name.toLowerCase()}`)].join(',');
  return ['setpriv', '--bounding-set', set, '--inh-caps', '-all', '--no-new-privs'];
}

/** ADD, CHECK and DEL of one pod; what each answered, in words. */
async function roundOf(node: TestNode): Promise<readonly string[]> {
  await using pod = await node.pod();
  const call = { containerId: containerId(), netns: pod.path, config: network(node, { cniVersion: '1.1.0' }) };
  const said: string[] = [];
  const added = await node.cni('ADD', call);
  said.push(added.exit === 0 ? 'added' : added.json.msg);
  if (added.exit === 0) {
    const checked = await node.cni('CHECK', { ...call, config: { ...call.config, prevResult: added.json } });
    said.push(checked.exit === 0 ? 'checked' : checked.json.msg);
  }
  const deleted = await node.cni('DEL', call);
  said.push(deleted.exit === 0 ? 'deleted' : deleted.json.msg);
  return [...said, ...(await node.leftovers())];
}

describe("the CNI server's rights", () => {
  before(function () {
    skipWithoutOvs.call(this);
  });

  it(`are enough: ${granted.join(', ')}`, async () => {
    await using node = await nodeWith(granted);
    assert.deepEqual(await roundOf(node), ['added', 'checked', 'deleted']);
  });

  for (const right of granted)
    it(`are not enough without ${right}`, async () => {
      await using node = await nodeWith(granted.filter((each) => each !== right));
      const [first = ''] = await roundOf(node);
      assert.match(first, /EPERM|EACCES|permitted|denied/i);
    });
});

/** Open vSwitch's socket belongs to another user, as where it does not run as root. */
async function nodeWith(rights: readonly string[]): Promise<TestNode> {
  const node = await startNode({ server: false, by: withRights(rights) });
  const socket = node.ovs.address.replace('unix:', '');
  await chown(socket, 65_534, 65_534);
  await chmod(socket, 0o700);
  await node.startServer();
  return node;
}
