import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Attachment } from '../../../../cni/attachment/attachment.ts';
import { addition, beginning, compact, type Phase, parseEntry } from '../../../../cni/attachment/entry.ts';
import type { Result } from '../../../../cni/protocol/result.ts';

const result: Result = { interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01' }], ips: [], routes: [], dns: {} };
const attachment = { id: 'a1', containerId: 'grün', vnicType: 'normal' } as Attachment;

describe("an entry's text", () => {
  const begun = beginning(attachment);
  const added = `${begun}${addition({ phase: 'added', result })}`;
  const whole = `${added}${addition({ phase: 'deleting' })}`;
  const phaseOf = (text: string): Phase | string => {
    const reading = parseEntry(text, 'a1');
    return reading === 'torn' ? reading : 'entry' in reading ? reading.entry.phase : reading.problem;
  };

  it('torn at any byte says less than was done, never more', () => {
    const bytes = Buffer.from(whole);
    const [ofBegun, ofAdded] = [Buffer.byteLength(begun), Buffer.byteLength(added)];
    for (let size = 0; size <= bytes.length; size++) {
      // A line counts as soon as its closing brace is there.
      const phase = size < ofBegun - 1 ? 'torn' : size < ofAdded - 1 ? 'adding' : size < bytes.length - 1 ? 'added' : 'deleting';
      assert.equal(phaseOf(bytes.toString('utf8', 0, size)), phase, `torn at byte ${size}`);
    }
  });

  it('takes a file that a power loss filled with zeros for torn', () => {
    assert.equal(phaseOf('\0'.repeat(4096)), 'torn');
  });

  it('says the same when it is made short', () => {
    for (const text of [begun, added, whole, `${begun}${addition({ phase: 'deleting' })}`]) {
      const reading = parseEntry(text, 'a1');
      assert.ok(typeof reading === 'object' && 'entry' in reading);
      assert.equal(compact(reading.entry), text);
    }
  });

  it('may be anything at all: then it is torn or not understood', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.json())), (lines) => {
        const reading = parseEntry(lines.join('\n'), 'a1');
        assert.ok(reading === 'torn' || 'problem' in reading);
      }),
    );
  });

  it('passes over lines that it does not know', () => {
    assert.equal(phaseOf(`${added}\n{}\n[]\n{"phase":"added"}\n{"phase":"other"}\n\n`), 'added');
  });
});
