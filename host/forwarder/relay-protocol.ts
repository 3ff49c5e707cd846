// The protocol of the supervisor's socket: one JSON line asks, one line answers, and the connection ends. What arrives is checked strictly,
// because device and socket become words of a DPDK command line, where commas, equals signs and brackets have a meaning.
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { explain } from '../base/explain.ts';
import { isPciAddress } from '../base/pci-address.ts';
import type { Attached } from './forwarder.ts';

const device = z
  .string()
  .refine(
    (text) => isPciAddress(text) || /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(text),
    'is neither a PCI address in lower case nor the name of a netdev',
  );
const socket = z
  .string()
  .max(107)
  .regex(/^(\/[A-Za-z0-9_.:@-]+)+$/, 'is not an absolute path of letters, digits and _ . : @ -')
  .refine((path) => !path.split('/').includes('..'), 'goes through ..');
export const pairShape = z.strictObject({
  device,
  socket,
  mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'is not a MAC aa:bb:cc:dd:ee:ff'),
  mtu: z.int().min(68).max(9600),
});

const requestShape = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('attach'), pair: pairShape }),
  z.strictObject({ op: z.literal('detach'), pair: pairShape.pick({ device: true, socket: true }) }),
  z.strictObject({ op: z.literal('attached') }),
]);
export type Request = Readonly<z.output<typeof requestShape>>;

const answerShape = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    attached: z.array(z.object({ device: z.string(), socket: z.string(), status: z.string() })),
  }),
  z.object({ ok: z.literal(false), error: z.string() }),
]);
/** `attached` is empty in answers to other questions. */
export type Answer =
  | { readonly ok: true; readonly attached: readonly Attached[] }
  | { readonly ok: false; readonly error: string };

/** Bytes of a line. */
export const lineLimit = 1 << 20;

/** Throws naming what is wrong with the line. */
export function parseRequest(line: string): Request {
  return parse(requestShape, line);
}

/** Throws naming what is wrong with the line. */
export function parseAnswer(line: string): Answer {
  return parse(answerShape, line);
}

function parse<T>(shape: z.ZodType<T>, line: string): T {
  const value = parseJson(line);
  const parsed = shape.safeParse(value);
  if (!parsed.success) throw new Error(explain(parsed.error, value));
  return parsed.data;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Error(`not a line of JSON: ${messageOf(error)}`, { cause: error });
  }
}
