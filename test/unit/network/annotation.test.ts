import assert from 'node:assert/strict';
import fc from 'fast-check';
import { chooseVnicType, parseAnnotation } from '../../../network/annotation.ts';
import { Refusal } from '../../../network/refusal.ts';
import { type VnicType, vnicTypes } from '../../../vnic/index.ts';

interface Words {
  readonly args?: unknown;
  readonly annotation?: string;
  readonly network?: VnicType;
  readonly allowed?: readonly VnicType[];
}

/** For interface net1 on network tenant-a. */
function choose({ args, annotation, network, allowed }: Words): VnicType {
  const config = {
    name: 'tenant-a',
    vnicType: network,
    allowedVnicTypes: [...(allowed ?? vnicTypes)],
    ...(args === undefined ? {} : { args: { cni: { vnicType: args } } }),
  };
  return chooseVnicType({ ifname: 'net1', config, annotation });
}

function refusal(words: Words): Refusal {
  try {
    const type = choose(words);
    assert.fail(`${JSON.stringify(words)} gave ${type}`);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

describe('the vnic type of an interface', () => {
  const rows: readonly (readonly [string, Words, VnicType])[] = [
    ['nothing says anything: normal', {}, 'normal'],
    ["the network's vnicType", { network: 'direct' }, 'direct'],
    ['one word for all interfaces, over the network', { annotation: 'virtio-forwarder', network: 'direct' }, 'virtio-forwarder'],
    ['the word with white space around', { annotation: '  direct\n' }, 'direct'],
    ['the annotation by network name, over the network', { annotation: '{"tenant-a":"direct"}', network: 'normal' }, 'direct'],
    [
      'the annotation by interface, over that by network name',
      { annotation: '{"tenant-a":"direct","net1":"virtio-forwarder"}', network: 'normal' },
      'virtio-forwarder',
    ],
    [
      'normal, asked for by interface, over a network of direct',
      { annotation: '{"net1":"normal"}', network: 'direct' },
      'normal',
    ],
    [
      'args.cni.vnicType, over everything',
      { args: 'normal', annotation: '{"tenant-a":"direct","net1":"virtio-forwarder"}', network: 'direct' },
      'normal',
    ],
    ['args.cni.vnicType, over the single word', { args: 'direct', annotation: 'virtio-forwarder' }, 'direct'],
    [
      'an annotation of other interfaces only says nothing here',
      { annotation: '{"net2":"direct"}', network: 'virtio-forwarder' },
      'virtio-forwarder',
    ],
    ['an empty object says nothing', { annotation: '{}', network: 'direct' }, 'direct'],
    ['names of what every object inherits say nothing', { annotation: '{"toString":"direct","__proto__":"direct"}' }, 'normal'],
  ];
  for (const [title, words, type] of rows) it(`is decided by: ${title}`, () => assert.equal(choose(words), type));

  it('is found for an interface that is called like a member of every object', () => {
    const config = { name: 'constructor', vnicType: undefined, allowedVnicTypes: [...vnicTypes] };
    assert.equal(chooseVnicType({ ifname: 'toString', config, annotation: '{}' }), 'normal');
    assert.equal(chooseVnicType({ ifname: '__proto__', config, annotation: '{"__proto__":"direct"}' }), 'direct');
  });

  it('is one of those that the network allows, whoever asks for it', () => {
    const message =
      'vnicType: network "tenant-a" does not allow "direct" (asked for interface net1); it allows: normal, virtio-forwarder';
    const allowed = ['normal', 'virtio-forwarder'] as const;
    for (const words of [{ args: 'direct' }, { annotation: 'direct' }, { annotation: '{"net1":"direct"}' }]) {
      assert.deepEqual([refusal({ ...words, allowed }).kind, refusal({ ...words, allowed }).message], ['bad value', message]);
    }
  });

  it('is not even normal by default on a network that does not allow it', () => {
    assert.match(refusal({ allowed: ['direct'] }).message, /does not allow "normal"/);
  });

  const list = 'normal, direct, virtio-forwarder';
  const forms = `write one of ${list}, or a JSON object such as {"net1": "direct"}`;
  const refused: readonly (readonly [Words, string])[] = [
    [{ annotation: 'Direct' }, `annotation smartnic.io/vnic-type: unknown vnic type "Direct"; ${forms}`],
    [{ annotation: '' }, `annotation smartnic.io/vnic-type: unknown vnic type ""; ${forms}`],
    [{ annotation: '"direct"' }, `annotation smartnic.io/vnic-type: unknown vnic type "\\"direct\\""; ${forms}`],
    [{ annotation: '["direct"]' }, `annotation smartnic.io/vnic-type: unknown vnic type "[\\"direct\\"]"; ${forms}`],
    [{ annotation: 'null' }, `annotation smartnic.io/vnic-type: unknown vnic type "null"; ${forms}`],
    [{ annotation: '{"net1":' }, `annotation smartnic.io/vnic-type: "{\\"net1\\":" is not JSON; ${forms}`],
    [{ annotation: "{'net1':'direct'}" }, `annotation smartnic.io/vnic-type: "{'net1':'direct'}" is not JSON; ${forms}`],
    [
      { annotation: '{"net1":"sriov"}' },
      `annotation smartnic.io/vnic-type for "net1": unknown vnic type "sriov"; write one of ${list}`,
    ],
    [
      { annotation: '{"net1":null}' },
      `annotation smartnic.io/vnic-type for "net1": unknown vnic type null; write one of ${list}`,
    ],
    [
      { annotation: '{"net1":["direct"]}' },
      `annotation smartnic.io/vnic-type for "net1": unknown vnic type ["direct"]; write one of ${list}`,
    ],
    [
      { annotation: '{"net1":{"type":"direct"}}' },
      `annotation smartnic.io/vnic-type for "net1": unknown vnic type {"type":"direct"}; write one of ${list}`,
    ],
    [{ args: 'sriov' }, `args.cni.vnicType: unknown vnic type "sriov"; write one of ${list}`],
    [{ args: null }, `args.cni.vnicType: unknown vnic type null; write one of ${list}`],
    [{ args: ['direct'] }, `args.cni.vnicType: unknown vnic type ["direct"]; write one of ${list}`],
  ];
  for (const [words, message] of refused) {
    it(`is an error for ${JSON.stringify(words)}`, () => {
      const error = refusal(words);
      assert.deepEqual([error.kind, error.message], ['bad value', message]);
    });
  }

  it('is an error for a wrong word anywhere in the annotation, also for another interface', () => {
    assert.match(refusal({ annotation: '{"net1":"direct","net2":"Normal"}' }).message, /for "net2": unknown vnic type "Normal"/);
    assert.match(refusal({ args: 'direct', annotation: 'drect' }).message, /unknown vnic type "drect"/);
  });

  it('is an error of readable length for an annotation of any length', () => {
    const long = 'x'.repeat(250_000);
    for (const annotation of [long, `{"net1":"${long}"}`, `{"${long}":"x"}`, `{"net1":${long}`]) {
      assert.ok(refusal({ annotation }).message.length < 600);
    }
  });

  it('is an error for an annotation nested a hundred thousand deep', () => {
    const annotation = `{"net1":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    assert.equal(refusal({ annotation }).kind, 'bad value');
  });

  it('is never anything but an error when an unknown word stands where a type is read', () => {
    const unknown = fc.string().filter((text) => !vnicTypes.some((type) => type === text.trim()));
    const network = fc.constantFrom(...vnicTypes);
    fc.assert(
      fc.property(unknown, network, fc.constantFrom('args', 'word', 'net1', 'tenant-a', 'other'), (word, vnicType, where) => {
        const words =
          where === 'args'
            ? { args: word, network: vnicType }
            : { annotation: where === 'word' ? word : JSON.stringify({ [where]: word }), network: vnicType };
        // `{}` and the like are objects that name no type. They are not words.
        if (where === 'word' && /^\s*\{\s*\}\s*$/.test(word)) return;
        assert.equal(refusal(words).kind, 'bad value');
      }),
    );
  });

  it('is read or refused as a bad value for whatever text a pod brings', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.dictionary(fc.string(), fc.constantFrom(...vnicTypes)).map((each) => JSON.stringify(each)),
    );
    fc.assert(
      fc.property(text, (annotation) => {
        try {
          const read = parseAnnotation(annotation);
          const types = typeof read === 'string' ? [read] : Object.values(read);
          assert.ok(types.every((type) => vnicTypes.includes(type)));
        } catch (error) {
          assert.ok(error instanceof Refusal && error.kind === 'bad value', String(error));
        }
      }),
    );
  });
});
