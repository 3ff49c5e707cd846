// Parses what users write about PFs and VFs: `ens1f0#0-3,7`, PCI addresses, hex ids. Pure. Errors say what was expected, with an example.
import { parsePciAddress } from '../../host/base/pci-address.ts';
import type { PfRange } from './selectors.ts';

/** The most VFs that a PF can have (SR-IOV's TotalVFs has 16 bits). */
const mostVfs = 65_535;

/** `PF` or `PF#N,A-B,…`. Numbers start at 0, and both ends are included. @throws Error with words that follow the value. */
export function parsePfRange(text: string): PfRange {
  const [pf = '', list, ...rest] = text.split('#');
  if (pf === '') throw new Error('names no PF before the #; write PF or PF#0-3,7');
  if (rest.length > 0) throw new Error('has more than one #; write PF#0-3,7');
  return list === undefined ? { pf } : { pf, numbers: new Set(list.split(',').flatMap(parsePart)) };
}

function parsePart(part: string): readonly number[] {
  const { first, last = first } = /^(?<first>\d+)(?:-(?<last>\d+))?$/.exec(part.trim())?.groups ?? {};
  if (first === undefined)
    throw new Error(`has the part "${part}" after the #, which is neither a number nor a range; write PF#0-3,7`);
  const [from, to] = [Number(first), Number(last)];
  if (from > to) throw new Error(`has the range ${part}, which ends before it begins; write ${to}-${from}`);
  if (to > mostVfs) throw new Error(`has the VF number ${to}, but a PF has at most ${mostVfs + 1} VFs, counted from 0`);
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/** Parses a value of `rootDevices`: a range whose PF is a PCI address. @throws Error like parsePfRange. */
export function parseRootDevice(text: string): PfRange {
  const range = parsePfRange(text);
  return { ...range, pf: parsePciAddress(range.pf) };
}

/** Returns four hex digits in lower case. @throws Error like parsePfRange. */
export function parsePciId(text: string): string {
  if (!/^(0x)?[0-9a-f]{4}$/i.test(text)) throw new Error('is not an id of four hex digits; write it as lspci -nn does: "15b3"');
  return text.slice(-4).toLowerCase();
}
