// Protocol Buffers on the wire (protobuf.dev, "Encoding"), as far as the forwarder's messages need it. messages.ts knows their fields.
// protobufjs, which comes with gRPC, could do this in place of these lines. It takes 100 ms to load and 4 MB, or 0.4 MB where gRPC is loaded already.

/** Varints of numbers from 0 to 2^32, and length-delimited fields; undefined is left out. In the order given. */
export function encodeFields(
  fields: readonly (readonly [number: number, value: number | string | Buffer | undefined])[],
): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (value === undefined) return [];
      if (typeof value === 'number') return [varint(number << 3), varint(value)];
      const bytes = Buffer.from(value);
      return [varint((number << 3) | 2), varint(bytes.length), bytes];
    }),
  );
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

export interface Fields {
  /** The last one of that number, as protobuf has it; undefined when there is none. Signed, 32 bits. */
  integer(number: number): number | undefined;
  text(number: number): string | undefined;
  messages(number: number): readonly Fields[];
}

/** Throws when the bytes are no message. */
export function decodeFields(bytes: Buffer): Fields {
  const integers = new Map<number, number>();
  const blocks = new Map<number, Buffer[]>();
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at);
    const [number, type] = [Number(tag.value >> 3n), Number(tag.value & 7n)];
    at = tag.end;
    if (type === 0) {
      const { value, end } = readVarint(bytes, at);
      integers.set(number, Number(BigInt.asIntN(32, value)));
      at = end;
      continue;
    }
    const { start, end } = block(bytes, type, at);
    if (end > bytes.length) throw new Error(`field ${number} ends ${end - bytes.length} bytes behind the message`);
    const known = blocks.get(number);
    if (known === undefined) blocks.set(number, [bytes.subarray(start, end)]);
    else known.push(bytes.subarray(start, end)); // a copy for each would take 17 s for 80 KB
    at = end;
  }
  return {
    integer: (number) => integers.get(number),
    text: (number) => blocks.get(number)?.at(-1)?.toString('utf8'),
    messages: (number) => (blocks.get(number) ?? []).map(decodeFields),
  };
}

function block(bytes: Buffer, type: number, at: number): { readonly start: number; readonly end: number } {
  if (type === 1) return { start: at, end: at + 8 };
  if (type === 5) return { start: at, end: at + 4 };
  if (type !== 2) throw new Error(`wire type ${type} at byte ${at}`);
  const { value, end } = readVarint(bytes, at);
  return { start: end, end: end + Number(value) };
}

function readVarint(bytes: Buffer, from: number): { readonly value: bigint; readonly end: number } {
  let value = 0n;
  for (let at = from; at < from + 10; at++) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(7 * (at - from));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  throw new Error(`a number that begins at byte ${from} does not end`);
}
