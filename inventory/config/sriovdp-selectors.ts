// Translates one selector of the SR-IOV network device plugin's config.json into ours. Pure. `warn` is told what has no effect here.
import { messageOf } from '../../host/base/errors.ts';
import { parsePciAddress } from '../../host/base/pci-address.ts';
import { isNeverOffered } from '../../vnic/drivers.ts';
import { parsePciId, parsePfRange, parseRootDevice } from './ranges.ts';
import type { Selector } from './selectors.ts';
import { entriesOf, type Fields } from './sriovdp-fields.ts';

/** The keys that mean the same here, with the parsers of their values. */
const parsers = {
  vendors: parsePciId,
  devices: parsePciId,
  drivers: (text: string) => text,
  pciAddresses: parsePciAddress,
  pfNames: (text: string) => ({ ...parsePfRange(text), anyCase: true as const }),
  rootDevices: parseRootDevice,
  linkTypes: (text: string) => text.toLowerCase(),
} as const satisfies { readonly [K in keyof Selector]: (text: string) => unknown };

/** Keys that narrow a pool of that plugin. If we ignored them, the pool would take VFs that its writer did not mean. */
const narrowing = ['acpiIndexes', 'ddpProfiles', 'pKeys', 'isRdma', 'vdpaType', 'auxTypes'] as const;

/**
 * `offered`: the VFs that the pool gets. `reserved`: the VFs that it has in that plugin and can't have here. A later pool must not get them either.
 * Neither: in that plugin no VF fits the selector.
 */
export type Imported = { readonly offered: Selector } | { readonly reserved: Selector } | undefined;

export function importSelector(value: Fields, warn: (words: string) => void): Imported {
  const fields = entriesOf(value);
  if (isSet(fields.get('needvhostnet')?.value)) warn('needVhostNet is ignored; no pod gets /dev/vhost-net from here');
  const known = new Set([...Object.keys(parsers), ...narrowing, 'needVhostNet'].map((key) => key.toLowerCase()));
  for (const [key, { spelled }] of fields) if (!known.has(key)) warn(`unknown selector "${spelled}" is ignored; remove it`);
  try {
    const lists = Object.entries(parsers).flatMap(([key, parse]) => {
      const list = fields.get(key.toLowerCase())?.value;
      return isSet(list) ? [[key, parseList(key, list, parse, warn)] as const] : [];
    });
    return offer(Object.fromEntries(lists) as Selector, fields, warn);
  } catch (error) {
    warn(`a selector is left out (that plugin drops it silently): ${messageOf(error)}`);
    return undefined;
  }
}

function offer(selector: Selector, fields: ReturnType<typeof entriesOf>, warn: (words: string) => void): Imported {
  const kept = 'the VFs that it takes by its other keys are kept from later pools';
  const unsupported = narrowing.filter((key) => isSet(fields.get(key.toLowerCase())?.value));
  if (unsupported.length > 0) {
    warn(
      `a selector is left out, because ${unsupported.join(' and ')} is not known here; select by the other keys instead; ${kept}`,
    );
    return { reserved: selector };
  }
  if (Object.keys(selector).length === 0) {
    warn(
      'a selector without any condition is left out: it would take every VF of the node; add "vendors" or "pfNames"; later pools get none of them, as with that plugin',
    );
    return { reserved: selector };
  }
  const uio = selector.drivers?.filter(isNeverOffered) ?? [];
  if (uio.length === 0) return { offered: selector };
  const remedy = `${uio.join(' and ')} is not served here; bind these VFs to vfio-pci, and write that as their driver`;
  const drivers = selector.drivers?.filter((driver) => !isNeverOffered(driver)) ?? [];
  if (drivers.length > 0) {
    warn(remedy);
    return { offered: { ...selector, drivers } };
  }
  warn(`a selector is left out: ${remedy}; ${kept}`);
  return { reserved: selector };
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
  const pfs = list.map((text) => String(text).split('#')[0]?.toLowerCase());
  const twice = key === 'pfNames' || key === 'rootDevices' ? pfs.find((pf, at) => pfs.indexOf(pf) !== at) : undefined;
  if (twice !== undefined) {
    warn(`${key} names ${twice} more than once; only the first of them counts, as with that plugin; write one entry: PF#0-3,7`);
    return values.filter((_, at) => pfs.indexOf(pfs[at]) === at);
  }
  if (key === 'linkTypes' && list.length > 1) warn('linkTypes has several values; that plugin allows one, here any of them fits');
  return values;
}
