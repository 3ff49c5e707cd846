import assert from 'node:assert/strict';
import { printable } from '../../../../host/base/printable.ts';
import { align } from '../../../../host/base/table.ts';

describe("text on a person's terminal", () => {
  it('shows escape characters and what turns the direction of text, and leaves all else', () => {
    assert.equal(printable('\u001b[2J\u009b1m\u202egnp.exe\r\b'), '\\u001b[2J\\u009b1m\\u202egnp.exe\\u000d\\u0008');
    assert.equal(printable('grün\té\n日本'), 'grün\té\n日本');
  });

  it('keeps each row of a table on its line', () => {
    assert.deepEqual(
      align([
        ['a\u001b[1A', 'x\ny'],
        ['b', 'z'],
      ]),
      ['a\\u001b[1A  x\\ny', 'b           z'],
    );
  });
});
