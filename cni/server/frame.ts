// The bytes between the runtime's executable and the server, `smartnic/1` (cni/shim/README.md). Pure.
import type { Answer, Invocation } from '../cni.ts';

/** The number of bytes that are needed before decoding can go on, or the whole request, or what is wrong with it. */
export type Decoded = { readonly needs: number } | Invocation | { readonly problem: string };

const limits = { header: 64, env: 1024 * 1024, stdin: 4 * 1024 * 1024 } as const;

export function decodeRequest(bytes: Buffer): Decoded {
  const end = bytes.indexOf(0x0a);
  if (end < 0)
    return bytes.length < limits.header
      ? { needs: bytes.length + 1 }
      : { problem: 'the request does not begin with a smartnic/1 header' };
  const header = /^smartnic\/1 (\d{1,8}) (\d{1,8})$/.exec(bytes.toString('latin1', 0, end));
  if (header === null)
    return {
      problem: 'the request is not smartnic/1; executable and server are of different versions: install both from one release',
    };
  const [envSize, stdinSize] = [Number(header[1]), Number(header[2])];
  if (envSize > limits.env || stdinSize > limits.stdin)
    return { problem: `the request is too large: ${envSize} bytes of environment, ${stdinSize} of stdin` };
  const [envStart, stdinStart] = [end + 1, end + 1 + envSize];
  const size = stdinStart + stdinSize;
  if (bytes.length < size) return { needs: size };
  return { env: parseEnvironment(bytes.toString('utf8', envStart, stdinStart)), stdin: bytes.toString('utf8', stdinStart, size) };
}

function parseEnvironment(text: string): Invocation['env'] {
  const entries = text.split('\0').filter((entry) => entry.includes('='));
  return Object.fromEntries(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
}

export function encodeAnswer({ exit, stdout, stderr }: Answer): Buffer {
  const [out, err] = [Buffer.from(stdout), Buffer.from(stderr)];
  return Buffer.concat([Buffer.from(`${exit} ${out.length} ${err.length}\n`), out, err]);
}

/** Encodes a request, for the commands of a person. */
export function encodeRequest({ env, stdin }: Invocation): Buffer {
  const variables = Buffer.from(
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  );
  const input = Buffer.from(stdin);
  return Buffer.concat([Buffer.from(`smartnic/1 ${variables.length} ${input.length}\n`), variables, input]);
}

/** Decodes a whole answer. Undefined when it is not one. */
export function decodeAnswer(bytes: Buffer): Answer | undefined {
  const header = /^\+\n(\d{1,3}) (\d{1,8}) (\d{1,8})\n/.exec(bytes.toString('latin1', 0, 64));
  const [begin = 0, exit, out, err] = [header?.[0].length, ...(header?.slice(1).map(Number) ?? [])];
  if (exit === undefined || out === undefined || err === undefined || bytes.length !== begin + out + err) return undefined;
  return { exit, stdout: bytes.toString('utf8', begin, begin + out), stderr: bytes.toString('utf8', begin + out) };
}
