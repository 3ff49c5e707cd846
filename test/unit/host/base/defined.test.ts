import assert from 'node:assert/strict';
import { defined } from '../../../../host/base/defined.ts';

describe('a record without its undefined members', () => {
  it('keeps null, zero, false and the empty text', () => {
    const record = { a: undefined, b: null, c: 0, d: false, e: '', f: 'x' };
    assert.deepEqual(Object.entries(defined(record)), [
      ['b', null],
      ['c', 0],
      ['d', false],
      ['e', ''],
      ['f', 'x'],
    ]);
  });

  it('leaves the record it was given alone', () => {
    const record = { a: undefined, b: 1 };
    defined(record);
    assert.deepEqual(Object.keys(record), ['a', 'b']);
  });
});
