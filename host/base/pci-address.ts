// Where a PCI function sits, as sysfs names it. Pure.

declare const brand: unique symbol;
/** `dddd:bb:dd.f`, lower-case; a domain has four to eight digits. */
export type PciAddress = string & { readonly [brand]: 'PCI address' };

const pattern = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/;

export function isPciAddress(text: string): text is PciAddress {
  return pattern.test(text);
}

/** As a person writes it: in either case, the domain 0000 left out. @throws Error in words that follow the value. */
export function parsePciAddress(text: string): PciAddress {
  const lower = text.toLowerCase();
  // The kernel writes a domain with four digits, and with more only where it needs them.
  const address = /^[0-9a-f]{2}:/.test(lower) ? `0000:${lower}` : lower.replace(/^0+(?=[0-9a-f]{4,}:)/, '');
  if (isPciAddress(address)) return address;
  throw new Error('is not a PCI address; write it as lspci -D does: 0000:3b:02.6');
}

/** Its numbers; undefined for what is no PCI address. */
export function findPciParts(text: string) {
  const [whole, domain = '', bus = '', slot = '', fn = ''] = pattern.exec(text) ?? [];
  const number = (digits: string) => Number.parseInt(digits, 16);
  return whole === undefined ? undefined : { domain: number(domain), bus: number(bus), slot: number(slot), function: number(fn) };
}
