// A tenant that makes VLAN tags by hand, as root of its container can. Userspace datapath; test/lab/tenants.test.ts has the kernel's.
import assert from 'node:assert/strict';
import { type Attached, attach } from '../../support/attached.ts';
import { cleanNode } from '../../support/clean-node.ts';
import { type Tap, tap } from '../../support/hand-made-frames.ts';
import { network, type TestNode } from '../../support/node.ts';

type Wired = { readonly wire: Tap };
type Hearer = { readonly hears: Wired; readonly control: Wired };

describe('a pod that makes VLAN tags by hand', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  const plug = async (config: object = {}) => {
    const attached = undo.use(await attach(node, network(node, config)));
    return { ...attached, wire: undo.use(await tap(attached.pod.path)) };
  };
  /** Waits until no cached flow knows of the time before. */
  const change = async (...command: readonly string[]) => {
    await node.ovs.vsctl(...command);
    await node.ovs.appctl('revalidator/wait');
  };
  /** A pod, and another one that it hears. */
  const hearer = async (config: object = {}) => ({ hears: await plug(config), control: await plug(config) });
  const portOf = async ({ port }: Attached) => (await node.ovs.vsctl('get', 'Port', port, 'tag', 'vlan_mode')).split('\n');

  /**
   * Which of the tags that `from` makes (`none`: untagged) come to each of the others. Silence is more than slowness: the switch looks at all its
   * ports in turn, so what it has not handed on by the third control frame of somebody else, it has dropped.
   */
  async function reach(from: Wired, tags: readonly (number | 'none')[], others: readonly Hearer[]) {
    const seen = others.map(() => new Set<string>());
    const first = count + 1;
    for (let turn = 0; turn < 3; turn++) {
      count += 1;
      for (const tag of tags) from.wire.send(`${count} tag ${tag}`, tag === 'none' ? {} : { vlan: tag });
      for (const [index, { hears, control }] of others.entries()) {
        control.wire.send(`${count} control`);
        const texts = await hears.wire.until(`${count} control`);
        for (const text of texts) {
          const [at, what, tag = ''] = text.split(' ');
          if (what === 'tag' && Number(at) >= first) seen[index]?.add(tag);
        }
      }
    }
    return seen.map((each) => [...each]);
  }
  let count = 0;

  it('reaches no VLAN from a network that names none: neither VLAN 200 nor others of its own network by a tag', async () => {
    const [pod, inVlan, beside] = [await plug(), await hearer({ vlan: 200 }), await hearer()];
    assert.deepEqual(await portOf(pod), ['[]', 'access']);
    const sent: readonly (number | 'none')[] = ['none', 0, 200, 5];
    assert.deepEqual(await reach(pod, sent, [inVlan, beside]), [[], ['none', '0']]);
    // The same frames on a port as it was made before, to show that they would get through.
    await change('clear', 'Port', pod.port, 'vlan_mode');
    assert.deepEqual(await reach(pod, sent, [inVlan, beside]), [['200'], ['none', '0']]);
  });

  it('hears nothing of other VLANs on such a port', async () => {
    const [pod, tagged, trunk] = [await hearer(), await plug({ vlan: 200 }), await plug({ trunk: 'all' })];
    assert.deepEqual(await reach(tagged, ['none'], [pod]), [[]]);
    assert.deepEqual(await reach(trunk, [200, 5], [pod]), [[]]);
  });

  it('reaches all VLANs only by a network that says trunk: "all"', async () => {
    const [trunk, inVlan, beside] = [await plug({ trunk: 'all' }), await hearer({ vlan: 200 }), await hearer()];
    assert.deepEqual(await portOf(trunk), ['[]', 'trunk']);
    assert.deepEqual(await reach(trunk, ['none', 200, 5], [inVlan, beside]), [['200'], ['none']]);
    const native = await plug({ vlan: 200, trunk: 'all' });
    assert.deepEqual(await portOf(native), ['200', 'native-untagged']);
    assert.deepEqual(await reach(native, ['none', 0, 5], [inVlan, beside]), [['none', '0'], []]);
    assert.equal((await trunk.check()).exit, 0);
  });

  it('is in the VLAN that an agent such as Neutron’s writes into `tag`, and in no other', async () => {
    const [pod, inVlan, beside] = [await plug(), await hearer({ vlan: 200 }), await hearer()];
    await change('set', 'Port', pod.port, 'tag=200');
    assert.deepEqual(await reach(pod, ['none', 200, 5], [inVlan, beside]), [['none'], []]);
    assert.equal((await pod.check()).exit, 0, 'the tag is the agent’s');
    await change('set', 'Port', pod.port, 'tag=4095'); // the VLAN of dead ports
    assert.deepEqual(await reach(pod, ['none', 200], [inVlan, beside]), [[], []]);
    await change('clear', 'Port', pod.port, 'tag');
    assert.deepEqual(await reach(pod, ['none', 200], [inVlan, beside]), [[], ['none']]);
  });
});
