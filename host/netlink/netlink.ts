// rtnetlink: links, addresses and routes of one network namespace, as the rest of the program sees them.
import type { Netns } from '../kernel/netns.ts';
import { type Address, decodeAddress, type NewAddress } from './rtnetlink/address.ts';
import type { Family } from './rtnetlink/inet.ts';
import { decodeLink, type Link, type LinkChange, type VethPair } from './rtnetlink/link.ts';
import * as ask from './rtnetlink/requests.ts';
import { decodeRoute, type NewRoute, type Route } from './rtnetlink/route.ts';
import { createVeth } from './rtnetlink/veth.ts';
import { decodeVfs, type VfChange, type VfLinkState, type VfSettings } from './rtnetlink/vf.ts';
import { NetlinkError } from './wire/error.ts';
import { openSession } from './wire/session.ts';
import { protocols } from './wire/socket.ts';

export type { Address, Link, LinkChange, NewAddress, NewRoute, Route, VethPair, VfChange, VfLinkState, VfSettings };

/** All that makes a link ready for traffic. */
export interface LinkConfiguration {
  readonly up?: boolean;
  readonly addresses?: readonly NewAddress[];
  readonly routes?: readonly Omit<NewRoute, 'oif'>[];
}

/**
 * One session with one namespace's rtnetlink. Its requests run one after another, off the main thread.
 * All methods throw NetlinkError with the kernel's errno and words, and RangeError for impossible names and addresses.
 */
export interface Netlink extends Disposable {
  links(): Promise<readonly Link[]>;
  link(which: string | number): Promise<Link | undefined>;
  /**
   * Creates a veth pair. The peer is created inside its namespace, under its final name. Both ends are down, and the host end
   * gets no IPv6 address by itself. When it throws, nothing is left behind.
   * @returns the host end; `peerIndex` is the peer's index in its namespace.
   */
  createVeth(pair: VethPair): Promise<Link>;
  /** The other end of a veth pair goes with it. @returns false when the link was not there. */
  deleteLink(which: string | number): Promise<boolean>;
  setLink(index: number, change: LinkChange): Promise<void>;
  /** Takes away further names of a link. */
  removeAltNames(index: number, names: readonly string[]): Promise<void>;
  /**
   * The VFs of a PF as its driver keeps them; empty when the link is no PF, or when its driver tells nothing. `too many`: they don't fit in the
   * one answer that the kernel makes of them.
   */
  vfs(pf: number): Promise<readonly VfSettings[] | 'too many'>;
  setVf(pf: number, vf: number, change: VfChange): Promise<void>;
  addresses(index: number): Promise<readonly Address[]>;
  addAddress(index: number, cidr: string, options?: Omit<NewAddress, 'cidr'>): Promise<void>;
  /** @returns false when the address or the link was not there. */
  removeAddress(index: number, cidr: string): Promise<boolean>;
  /** The unicast routes of all tables; those that leave by `oif` also where that is one of several ways. The kernel chooses them. */
  routes(filter?: { readonly family?: Family; readonly oif?: number }): Promise<readonly Route[]>;
  addRoute(route: NewRoute): Promise<void>;
  /** Up, then addresses, then routes. A route that is there already is no failure, see newRouteBeside. The first failure is thrown. */
  configure(index: number, configuration: LinkConfiguration): Promise<void>;
}

/** What opens it, as a part of the machine's record. */
export interface Netlinks {
  /** In a network namespace, or in the machine's own. The caller disposes it. */
  readonly netlink: (netns?: Netns) => Netlink;
}

/**
 * @param netns - the namespace it acts on; the calling thread's own when absent. May be disposed afterwards.
 * @throws SystemError when there is no such socket; Error when the namespace cannot be entered.
 */
export function openNetlink(netns?: Netns): Netlink {
  const session = openSession({ protocol: protocols.route, ...(netns ? { netns } : {}) });
  return {
    links: async () => (await session.dump(ask.listLinks())).map(decodeLink),
    link: (which) =>
      unless(['ENODEV'], undefined, async () => {
        const [answer] = await session.request(ask.findLink(which));
        return answer && decodeLink(answer);
      }),
    createVeth: (pair) => createVeth(session, pair),
    deleteLink: (which) =>
      unless(['ENODEV'], false, async () => {
        await session.request(ask.removeLink(which));
        return true;
      }),
    setLink: async (index, change) => {
      await session.request(ask.changeLink(index, change));
    },
    removeAltNames: async (index, names) => {
      await session.request(ask.removeAltNames(index, names));
    },
    vfs: (pf) => unless(['EMSGSIZE'], 'too many', async () => (await session.request(ask.listVfs(pf))).flatMap(decodeVfs)),
    setVf: async (pf, vf, change) => {
      await session.request(ask.changeVf(pf, vf, change));
    },
    addresses: async (index) => {
      const answers = await session.dump(ask.listAddresses(index));
      return answers.map(decodeAddress).filter((address) => address !== undefined);
    },
    addAddress: async (index, cidr, options = {}) => {
      await session.request(ask.newAddress(index, { ...options, cidr }));
    },
    removeAddress: (index, cidr) =>
      unless(['EADDRNOTAVAIL', 'ENODEV'], false, async () => {
        await session.request(ask.dropAddress(index, cidr));
        return true;
      }),
    routes: async (filter = {}) => {
      const answers = await session.dump(ask.listRoutes(filter));
      return answers.map(decodeRoute).filter((route) => route !== undefined);
    },
    addRoute: async (route) => {
      await session.request(ask.newRoute(route));
    },
    configure: async (index, { up, addresses = [], routes = [] }) => {
      await session.batch([
        ...(up === undefined ? [] : [ask.changeLink(index, { up })]),
        ...addresses.map((address) => ask.newAddress(index, address)),
        ...routes.map((route) => ask.newRouteBeside({ ...route, oif: index })),
      ]);
    },
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

/** Resolves with what `work` gives, or with `absent` when it fails with one of these codes, which mean that the thing is not there. */
async function unless<T, A>(codes: readonly string[], absent: A, work: () => Promise<T>): Promise<T | A> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NetlinkError && codes.includes(error.code)) return absent;
    throw error;
  }
}
