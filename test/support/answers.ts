// What a runtime can see of an answer: the exit status and stdout.
import assert from 'node:assert/strict';
import type { CniAnswer } from './node.ts';

/** The answer to a command that has nothing to say. */
export function succeeded({ exit, stdout }: Pick<CniAnswer, 'exit' | 'stdout'>): void {
  assert.deepEqual({ exit, stdout }, { exit: 0, stdout: '' });
}

/** An error object with this code, and words in `msg`. */
export function refused({ exit, json, stdout }: CniAnswer, code: number, words: RegExp): void {
  assert.deepEqual({ exit, code: json.code }, { exit: 1, code }, stdout);
  assert.match(json.msg, words);
}
