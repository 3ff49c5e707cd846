// Cuts a byte stream into JSON texts. OVSDB sends objects one after another with nothing between them (RFC 7047, 4), so the end of
// an object is found by counting braces outside strings. It counts in bytes, because UTF-8 never uses a brace's byte inside a longer
// character, and because a chunk may end in the middle of a character. Most bytes are in strings, and Node's own search skips them.

const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;
const spaces: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * Returns a function that takes the next chunk and returns the texts that ended in it. The function throws on a byte that can't begin a
 * message, and on a message of more than `limit` bytes. After that the stream is useless.
 */
export function messageSplitter(limit: number): (chunk: Buffer) => readonly string[] {
  let unfinished: Buffer[] = [];
  let held = 0;
  let depth = 0;
  let inString = false;
  let escaped = false;

  return (chunk) => {
    const messages: string[] = [];
    let start = 0;
    /** The next of each is looked for once, however many of the other come before it. */
    let [nextEscape, nextQuote] = [-1, -1];
    const endOfRun = (from: number): number => {
      if (nextEscape < from) nextEscape = indexOrEnd(chunk, backslash, from);
      if (nextQuote < from) nextQuote = indexOrEnd(chunk, quote, from);
      return Math.min(nextQuote, nextEscape);
    };
    const keep = (end: number) => {
      unfinished.push(chunk.subarray(start, end));
      held += end - start;
      start = end;
      if (held > limit) throw new Error(`it sent a message of more than ${limit} bytes, which is more than we have memory for`);
    };
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) inString = false;
        // The loop goes on at the quote or backslash that ends this run.
        else at = endOfRun(at + 1) - 1;
      } else if (byte === open) depth++;
      else if (depth === 0) {
        if (!spaces.has(byte)) throw new Error(`it does not speak JSON-RPC: ${shown(chunk.subarray(at))}`);
        start = at + 1;
      } else if (byte === quote) inString = true;
      else if (byte === close && --depth === 0) {
        keep(at + 1);
        messages.push(Buffer.concat(unfinished, held).toString('utf8'));
        unfinished = [];
        held = 0;
      }
    }
    if (depth > 0) keep(chunk.length);
    return messages;
  };
}

function indexOrEnd(chunk: Buffer, byte: number, from: number): number {
  const at = chunk.indexOf(byte, from);
  return at < 0 ? chunk.length : at;
}

function shown(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(0, 40).toString('latin1'));
}
