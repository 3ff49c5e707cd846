import assert from 'node:assert/strict';
import fc from 'fast-check';
import { z } from 'zod';
import { explain, show } from '../../../../host/base/explain.ts';

const shape = z.strictObject({
  count: z.int().min(1).max(9).optional(),
  rate: z.number().positive().optional(),
  word: z.enum(['red', 'green']).optional(),
  name: z.string().min(1).optional(),
  list: z
    .array(z.strictObject({ on: z.boolean() }))
    .min(1)
    .optional(),
  labels: z.record(z.string().min(1), z.string()).optional(),
  either: z.union([z.strictObject({ id: z.int() }), z.strictObject({ from: z.int(), to: z.int() })]).optional(),
  address: z.union([z.ipv4(), z.ipv6()], { error: 'is not an IP address' }).optional(),
  even: z
    .int()
    .refine((value) => value % 2 === 0, 'is odd')
    .optional(),
});

describe('the explanation of what is wrong with something from outside', () => {
  const sentences: readonly (readonly [unknown, string])[] = [
    [5, 'the document: 5 is not an object'],
    [[], 'the document: [] is not an object'],
    [{ count: 0 }, 'count: 0 is below the least, 1'],
    [{ count: 10 }, 'count: 10 is above the greatest, 9'],
    [{ count: 1.5 }, 'count: 1.5 is not a whole number'],
    [{ count: '1' }, 'count: "1" is not a number'],
    [{ count: null }, 'count: null is not a number'],
    [{ rate: 0 }, 'rate: 0 is not above 0'],
    [{ word: 'blue' }, 'word: "blue" is not one of red, green'],
    [{ name: '' }, 'name: "" is empty'],
    [{ list: [] }, 'list: [] is empty'],
    [{ list: {} }, 'list: {} is not an array'],
    [{ list: [{ on: true }, { on: 1 }] }, 'list.1.on: 1 is not a boolean'],
    [{ list: [{}] }, 'list.0.on: is missing'],
    [{ list: [{ on: true, off: 1 }] }, 'unknown key "off" in list.0'],
    [{ list: [{ on: true }, { on: true, off: 1 }] }, 'unknown key "off" in list.1; known keys: on'],
    [{ labels: { '': 'x' } }, 'labels: has a key that is not allowed: ""'],
    [{ labels: { a: 5 } }, 'labels.a: 5 is not a string'],
    [{ either: 5 }, 'either: 5 is not an object'],
    [{ either: { id: 'a' } }, 'either.id: "a" is not a number'],
    [{ either: { from: 1 } }, 'either.to: is missing'],
    [{ either: { from: 1, to: 'b' } }, 'either.to: "b" is not a number'],
    [{ address: 'here' }, 'address: "here" is not an IP address'],
    [{ even: 3 }, 'even: 3 is odd'],
    [{ colour: 1 }, 'unknown key "colour"; known keys: count, word'],
    [{ colour: 1, color: 2, count: 0 }, 'count: 0 is below the least, 1; unknown key "colour", "color"; known keys: count, word'],
  ];
  for (const [input, sentence] of sentences) {
    it(`of ${JSON.stringify(input)} is: ${sentence}`, () => {
      const { error } = shape.safeParse(input);
      assert.ok(error);
      assert.equal(explain(error, input, { known: { '': ['count', 'word'], 'list.1': ['on'] } }), sentence);
    });
  }

  it("doesn't repeat a value with which another parser's words begin", () => {
    const schema = z.object({ at: z.string().refine(() => false, '"x" is no place') });
    const { error } = schema.safeParse({ at: 'x' });
    assert.ok(error);
    assert.equal(explain(error, { at: 'x' }), 'at: "x" is no place');
  });

  it('names something for whatever is wrong, in one line that nothing huge can bury', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(shape.shape)), fc.jsonValue()), (input) => {
        const { error } = shape.safeParse(input);
        if (error === undefined) return;
        const text = explain(error, input);
        assert.match(text, /^[a-z]/);
        assert.doesNotMatch(text, /undefined|\[object|Invalid input|\n/);
        assert.ok(text.length <= error.issues.length * 400 + 200, text);
      }),
    );
  });

  it('shows a value as JSON, cut after 120 characters', () => {
    assert.equal(show('a"b'), '"a\\"b"');
    assert.equal(show(undefined), 'undefined');
    assert.equal(show('x'.repeat(5000)).length, 118);
  });
});
