// The requests to rtnetlink, each with the words of its error. Pure. link.ts, address.ts and route.ts write the bytes.

import type { Request } from '../wire/exchange.ts';
import { flags } from '../wire/session.ts';
import { addressQuery, addressReference, addressTypes, encodeAddress, type NewAddress } from './address.ts';
import type { Family } from './inet.ts';
import {
  encodeAltNames,
  encodeLinkChange,
  encodeVeth,
  type LinkChange,
  linkQuery,
  linkReference,
  linkTypes,
  type VethPair,
} from './link.ts';
import { encodeRoute, type NewRoute, routeQuery, routeTypes } from './route.ts';
import { encodeVfChange, type VfChange, vfQuery } from './vf.ts';

const exclusively = flags.create | flags.excl;

export function listLinks(): Request {
  return { attempt: 'list links', type: linkTypes.get, body: linkQuery() };
}

export function findLink(which: string | number): Request {
  return { attempt: `look for link ${spell(which)}`, type: linkTypes.get, body: linkQuery(which) };
}

export function newVeth(pair: VethPair): Request {
  const { name, peer } = pair;
  return {
    attempt: `create veth "${name}" with peer "${peer.name}" in ${peer.netns.path}`,
    type: linkTypes.new,
    flags: exclusively | flags.echo,
    body: encodeVeth(pair),
  };
}

export function changeLink(index: number, change: LinkChange): Request {
  return { attempt: `set link ${index} to ${spellChange(change)}`, type: linkTypes.set, body: encodeLinkChange(index, change) };
}

export function removeLink(which: string | number): Request {
  return { attempt: `delete link ${spell(which)}`, type: linkTypes.del, body: linkReference(which) };
}

export function removeAltNames(index: number, names: readonly string[]): Request {
  return {
    attempt: `take the names ${names.join(', ')} from link ${index}`,
    type: linkTypes.delProperty,
    body: encodeAltNames(index, names),
  };
}

export function listVfs(pf: number): Request {
  return { attempt: `ask link ${pf} for its VFs`, type: linkTypes.get, body: vfQuery(pf) };
}

export function changeVf(pf: number, vf: number, change: VfChange): Request {
  const words = Object.entries(change).map(([what, value]) => `${what} ${spellSetting(value)}`);
  return {
    attempt: `set VF ${vf} of link ${pf} to ${words.join(', ')}`,
    type: linkTypes.set,
    body: encodeVfChange(pf, vf, change),
  };
}

export function listAddresses(index: number): Request {
  return { attempt: `list addresses of link ${index}`, type: addressTypes.get, body: addressQuery(index) };
}

export function newAddress(index: number, address: NewAddress): Request {
  return {
    attempt: `add address ${address.cidr} to link ${index}`,
    type: addressTypes.new,
    flags: exclusively,
    body: encodeAddress(index, address),
  };
}

export function dropAddress(index: number, cidr: string): Request {
  return { attempt: `remove address ${cidr} from link ${index}`, type: addressTypes.del, body: addressReference(index, cidr) };
}

export function listRoutes({ family, oif }: { readonly family?: Family; readonly oif?: number }): Request {
  const by = oif === undefined ? '' : ` by link ${oif}`;
  return { attempt: `list routes${by}`, type: routeTypes.get, body: routeQuery(family, oif) };
}

export function newRoute(route: NewRoute): Request {
  const { dst = 'default', gateway, oif, table } = route;
  const via = gateway === undefined ? '' : ` via ${gateway}`;
  const where = table === undefined ? '' : ` in table ${table}`;
  return {
    attempt: `add route ${dst}${via} by link ${oif}${where}`,
    type: routeTypes.new,
    flags: exclusively,
    body: encodeRoute(route),
  };
}

/**
 * As newRoute, where the namespace may have such a route already. An equal route, or one to the same destination with the same priority, stays
 * in force: an IPv4 route goes behind it and takes over when it goes, an IPv6 route is then not made.
 */
export function newRouteBeside(route: NewRoute): Request {
  const request = newRoute(route);
  const isV6 = (route.dst ?? route.gateway ?? '').includes(':');
  return { ...request, flags: isV6 ? exclusively : flags.create | flags.append, fine: ['EEXIST'] };
}

function spell(which: string | number): string {
  return typeof which === 'number' ? String(which) : `"${which}"`;
}

function spellChange({ netns, ...change }: LinkChange): string {
  const words = Object.entries(change).map(([what, value]) => `${what} ${value}`);
  return [...words, ...(netns ? [`namespace ${netns.path}`] : [])].join(', ');
}

/** `{ id: 5, qos: 3 }` as `id 5 qos 3` */
function spellSetting(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value).flat().join(' ');
}
