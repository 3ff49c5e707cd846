// Creates a veth pair completely or not at all.
import type { Message } from '../wire/codec.ts';
import { explained, NetlinkError } from '../wire/error.ts';
import type { Session } from '../wire/session.ts';
import { decodeLink, type Link, type LinkChange, linkTypes, type VethPair } from './link.ts';
import { changeLink, findLink, newVeth, removeLink } from './requests.ts';

/** @returns the host end. @throws NetlinkError; EEXIST says which of the two names is taken. */
export async function createVeth(session: Session, pair: VethPair): Promise<Link> {
  const link = await make(session, pair);
  const { alias } = pair;
  try {
    await finish(session, link.index, alias === undefined ? {} : { alias });
  } catch (error) {
    await session.request(removeLink(link.index)).catch(() => undefined); // the first failure is the one to tell of
    throw error;
  }
  return alias === undefined ? link : { ...link, alias };
}

/** The message that creates a link can't do this: there the kernel ignores an alias and refuses an address generation mode. */
async function finish(session: Session, index: number, change: LinkChange): Promise<void> {
  try {
    await session.request(changeLink(index, { ...change, ipv6AddressGeneration: 'none' }));
  } catch (error) {
    const noIpv6 = error instanceof NetlinkError && error.code === 'EAFNOSUPPORT'; // booted without it, or an MTU below 1280
    if (!noIpv6) throw error;
    if (change.alias !== undefined) await session.request(changeLink(index, change));
  }
}

async function make(session: Session, pair: VethPair): Promise<Link> {
  try {
    return await madeLink(session, pair, await session.request(newVeth(pair)));
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    throw explained(error, error.code === 'EEXIST' ? await whichIsTaken(session, pair) : asked(pair));
  }
}

/** The kernel echoes what it created. Kernels before 6.2 don't, so they are asked. */
async function madeLink(session: Session, { name }: VethPair, echoed: readonly Message[]): Promise<Link> {
  const made = echoed.find((message) => message.type === linkTypes.new) ?? (await session.request(findLink(name)))[0];
  if (!made) throw new Error(`the veth "${name}" was made, but the kernel does not show it`);
  return decodeLink(made);
}

/** The kernel only says that one of the names exists. */
async function whichIsTaken(session: Session, { name, peer }: VethPair): Promise<string> {
  const host = await session.request(findLink(name)).catch(() => []);
  return host.length > 0 ? `there is already a link "${name}"` : `there is already a link "${peer.name}" in ${peer.netns.path}`;
}

/** The kernel has no words for an MTU or a MAC that it refuses here. */
function asked({ mac = 'any', mtu, peer }: VethPair): string {
  return `asked for MAC ${mac} and MTU ${mtu}, for the peer MAC ${peer.mac} and MTU ${peer.mtu}`;
}
