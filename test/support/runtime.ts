// The executable driven as a container runtime drives it: exactly these variables, these bytes on stdin. Every answer is held to what
// the SPEC says of all answers (section 5, "Error"): nothing but one JSON object on stdout, and the exit status fits it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { start } from './shim.ts';

const executable = join(import.meta.dirname, '../../dist/smartnic');

export interface Reply {
  readonly exit: number;
  /** stdout as it came. */
  readonly text: string;
  /** stdout as JSON; an empty object when there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into results of five versions
  readonly json: any;
  readonly stderr: string;
}

/** `input` is JSON, or text that is sent as it is. */
export async function ask(
  socket: string,
  env: Readonly<Record<string, string>>,
  input: object | string | Buffer,
): Promise<Reply> {
  const sent = typeof input === 'string' || Buffer.isBuffer(input) ? input : JSON.stringify(input);
  const { exit, stdout, stderr } = await start(executable, { socket, env, input: sent }).ended;
  const text = stdout.toString();
  const json = text === '' ? {} : JSON.parse(text);
  if (exit === 0) assert.equal(json.code, undefined, text);
  else holdsError(json, text, (input as { readonly cniVersion?: unknown }).cniVersion);
  return { exit: exit ?? -1, text, json, stderr };
}

/** Gives an answer that is no error. */
export async function accepted(answer: Promise<Reply>): Promise<Reply> {
  const reply = await answer;
  assert.equal(reply.exit, 0, reply.text);
  return reply;
}

/** Gives an error with that code and message. */
export async function refused(answer: Promise<Reply>, code: number, msg: RegExp | string): Promise<Reply> {
  const reply = await answer;
  assert.deepEqual([reply.exit, reply.json.code], [1, code], reply.text);
  if (typeof msg === 'string') assert.equal(reply.json.msg, msg);
  else assert.match(reply.json.msg, msg);
  return reply;
}

// biome-ignore lint/suspicious/noExplicitAny: whatever came
function holdsError(error: any, text: string, asked: unknown): void {
  const { cniVersion, code, msg, details, ...rest } = error;
  assert.deepEqual(rest, {}, `more in an error object than the SPEC has: ${text}`);
  assert.ok(Number.isInteger(code) && code > 0, text);
  assert.ok(typeof msg === 'string' && msg !== '' && !msg.includes('\n'), text);
  assert.ok(details === undefined || (typeof details === 'string' && details !== ''), text);
  assert.equal(cniVersion, typeof asked === 'string' ? asked : '1.1.0', text);
}
