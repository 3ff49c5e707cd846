// Translates one selector of the SR-IOV network device plugin's config.json into ours. Pure. `warn` is told what has no effect here.
import { messageOf } from '../../host/base/errors.ts';
import { parsePciAddress } from '../../host/base/pci-address.ts';
import { parsePciId, parsePfRange, parseRootDevice } from './ranges.ts';
import type { Selector } from './selectors.ts';
import { entriesOf, type Fields } from './sriovdp-fields.ts';

/** The keys that mean the same here, with the parsers of their values. */
const parsers = {
  vendors: parsePciId,
  devices: parsePciId,
  drivers: (text: string) => text,
  pciAddresses: parsePciAddress,
  pfNames: parsePfRange,
  rootDevices: parseRootDevice,
  linkTypes: (text: string) => text.toLowerCase(),
} as const satisfies { readonly [K in keyof Selector]: (text: string) => unknown };

/** Keys that narrow a pool of that plugin. If we ignored them, the pool would take VFs that its writer did not mean. */
const narrowing = ['acpiIndexes', 'ddpProfiles', 'pKeys', 'isRdma', 'vdpaType', 'auxTypes'] as const;

/** Undefined when a translation would select more VFs than the selector does. */
export function importSelector(value: Fields, warn: (words: string) => void): Selector | undefined {
  const fields = entriesOf(value);
  const unsupported = narrowing.filter((key) => isSet(fields.get(key.toLowerCase())?.value));
  if (unsupported.length > 0) {
    warn(`a selector is left out, because ${unsupported.join(' and ')} is not known here; select by the other keys instead`);
    return undefined;
  }
  if (isSet(fields.get('needvhostnet')?.value)) warn('needVhostNet is ignored; no pod gets /dev/vhost-net from here');
  const known = new Set([...Object.keys(parsers), ...narrowing, 'needVhostNet'].map((key) => key.toLowerCase()));
  for (const [key, { spelled }] of fields) if (!known.has(key)) warn(`unknown selector "${spelled}" is ignored; remove it`);
  try {
    const lists = Object.entries(parsers).flatMap(([key, parse]) => {
      const list = fields.get(key.toLowerCase())?.value;
      return isSet(list) ? [[key, parseList(key, list, parse, warn)] as const] : [];
    });
    if (lists.length > 0) return Object.fromEntries(lists) as Selector;
    warn('a selector without any condition is left out: it would take every VF of the node; add "vendors" or "pfNames"');
  } catch (error) {
    warn(`a selector is left out (that plugin drops it silently): ${messageOf(error)}`);
  }
  return undefined;
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function parseList(
  key: string,
  list: unknown,
  parse: (text: string) => unknown,
  warn: (words: string) => void,
): readonly unknown[] {
  if (!Array.isArray(list)) throw new Error(`${key}: ${JSON.stringify(list)} is not a list; write ["…"]`);
  const values = list.map((text: unknown) => {
    if (typeof text !== 'string') throw new Error(`${key}: ${JSON.stringify(text)} is not a text; put it in quotes`);
    try {
      return parse(text);
    } catch (error) {
      throw new Error(`${key}: "${text}" ${messageOf(error)}`);
    }
  });
  const pfs = list.map((text) => String(text).split('#')[0]);
  const twice = key === 'pfNames' || key === 'rootDevices' ? pfs.find((pf, at) => pfs.indexOf(pf) !== at) : undefined;
  if (twice !== undefined) warn(`${key} names ${twice} more than once; that plugin takes only the first of them, here all count`);
  if (key === 'linkTypes' && list.length > 1) warn('linkTypes has several values; that plugin allows one, here any of them fits');
  return values;
}
