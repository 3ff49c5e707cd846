// Vnic types are named in vnic/ alone. All other code reads its table.
import assert from 'node:assert/strict';
import { vnicTypes } from '../../../vnic/index.ts';
import { sourceOf, sourcesBelow } from '../../support/messages.ts';

const folders = ['admission', 'cni', 'device-plugin', 'host', 'inventory', 'network', 'operator', 'supervisor', 'tools'];
const names = vnicTypes.join('|');
/** A word by itself in quotes, or as a key. A sentence for people may name a type as an example. */
const named = new RegExp(String.raw`(["'\x60])(${names})\1|(?<=[{,(]\s*)(${names}):`);
const sentence = /"[^"\n]* [^"\n]*"|'[^'\n]* [^'\n]*'|`[^`]* [^`]*`/g;

describe('a vnic type', () => {
  it('is named by no code outside of vnic/', () => {
    const code = (file: string) => sourceOf(file).replace(sentence, '""');
    const naming = folders.flatMap(sourcesBelow).filter((file) => file.endsWith('.ts') && named.test(code(file)));
    assert.deepEqual(naming, []);
  });
});
