// Sets a VF's attributes through its PF, and restores them. Attributes that nobody asked for stay untouched, because many NICs have only some.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { defined } from '../base/defined.ts';
import { messageOf, Unavailable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Machine, Stepping } from '../base/machine.ts';
import type { Netlinks, VfChange, VfSettings } from '../netlink/netlink.ts';
import { NetlinkError } from '../netlink/wire/error.ts';
import { findUplink } from './nics.ts';
import { findVf } from './pci.ts';
import { readSwitchPorts } from './switch-ports.ts';

export type { VfChange, VfSettings };

type Key = keyof VfChange;
type Kernel = Machine & Netlinks;
type Logging = Kernel & { readonly log: Logger };

/** Trust comes first, because drivers allow more to a trusted VF. The MAC comes before the attributes that may depend on it. */
const order = ['trust', 'spoofchk', 'mac', 'vlan', 'rate', 'linkState'] as const satisfies readonly Key[];

/** Some drivers take a MAC late: 20 looks, 100 ms apart. */
const [looks, pause] = [20, 100];

/** `untold`: the PF has more VFs than the kernel can tell about in one answer, and it tells about all or none. They can be set all the same. */
export type Told = VfSettings | 'untold';

/** What the PF's driver says about the VF. Undefined when it says nothing, or when the VF or its PF's netdev is missing. @throws NetlinkError */
export async function findVfSettings(host: Kernel, address: string): Promise<Told | undefined> {
  return await withPf(host, address, undefined, (pf) => pf.read());
}

/** @throws Error naming the attribute, the PF and what its driver said. */
export async function changeVf(host: Kernel & Stepping, address: string, change: VfChange): Promise<void> {
  const keys = order.filter((key) => change[key] !== undefined);
  if (keys.length === 0) return;
  await withPf(host, address, nothingToSetItOn(address), async (pf) => {
    for (const key of keys) {
      await setOne(pf, key, change[key]);
      host.step(`vf ${key} set`);
    }
  });
}

/**
 * Restores the attributes that differ from how they were. A VF that is gone needs nothing. A MAC that can't be restored costs nothing, because
 * each ADD gives another one. @throws like changeVf for the others: the next pod would inherit them.
 */
export async function restoreVf(host: Logging & Stepping, address: string, before: VfChange): Promise<void> {
  await withPf(host, address, undefined, async (pf) => {
    const now = await pf.read();
    if (now === undefined) return;
    for (const key of order.toReversed()) {
      if (before[key] === undefined || same(key, now === 'untold' ? undefined : now[key], before[key])) continue;
      await (restorers[key] ?? setOne)(pf, key, before[key], host.log);
      host.step(`vf ${key} set`);
    }
  });
}

type Restorer = (pf: OwnPf, key: Key, value: VfChange[Key], log: Logger) => Promise<void>;

/** Where what was told before is no value that every driver takes. */
const restorers: Partial<Readonly<Record<Key, Restorer>>> = {
  /**
   * No MAC (all zeros) is what a PF tells when nobody gave one. Some drivers refuse to set it (qede, octeontx2), and some tell the VF's own MAC
   * then (bnxt). The former pod's MAC does not stay in any case, because that pod may run elsewhere by now.
   */
  mac: async (pf, _, before, log) => {
    const set = async (mac: string) => await pf.set({ mac });
    const attempts = [
      async () => (before === noMac ? await set(noMac) : await setOne(pf, 'mac', before)),
      async () => await set(randomMac()),
    ];
    for (const attempt of attempts) {
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof Unavailable) throw error;
        log.info({ pf: pf.name, vf: pf.vf, before, error: messageOf(error) }, 'the old MAC of the VF can not be given back');
      }
    }
  },
  /** A driver that knows no `auto` follows its wire when it is told nothing. `enable` is nearest to that. */
  linkState: async (pf, key, before) =>
    await setOne(pf, key, before).catch(async (error: unknown) => {
      if (before !== 'auto' || error instanceof Unavailable) throw error;
      await setOne(pf, key, 'enable').catch(() => {
        throw error;
      });
    }),
};

const noMac = '00:00:00:00:00:00';

/** Locally administered. */
function randomMac(): string {
  return `02:${randomBytes(5)
    .toString('hex')
    .replace(/..(?=.)/g, '$&:')}`;
}

/** The part of `now`, as the PF tells it, that `change` would overwrite. Of what is untold it is taken that nobody has set anything. */
export function overwritten(now: Told, change: VfChange): VfChange {
  const keys = order.filter((key) => change[key] !== undefined);
  const from: VfChange = now === 'untold' ? unset : now;
  return defined(Object.fromEntries(keys.map((key) => [key, from[key]])) as { [K in Key]: VfChange[K] | undefined });
}

const unset = {
  mac: noMac,
  vlan: { id: 0, qos: 0 },
  rate: { min: 0, max: 0 },
  linkState: 'auto',
  spoofchk: true,
  trust: false,
} as const satisfies Required<VfChange>;

interface OwnPf {
  readonly name: string;
  readonly vf: number;
  set(change: VfChange): Promise<void>;
  read(): Promise<Told | undefined>;
}

async function withPf<T, A extends Error | undefined>(
  host: Kernel,
  address: string,
  absent: A,
  work: (pf: OwnPf) => Promise<T>,
): Promise<T | undefined> {
  const found = findVf(host, address);
  const unread: string[] = [];
  const ports = found === undefined ? [] : readSwitchPorts(host, new Set(found.vf.netdevs), ({ words }) => unread.push(words));
  const uplink = found && findUplink(found.pf, ports);
  if (found !== undefined && uplink === undefined && unread.length > 0)
    throw new Error(`look for the netdev of PF ${found.pf.address}: ${unread.join('; ')}`);
  using netlink = host.netlink();
  const pf = uplink === undefined ? undefined : await netlink.link(uplink);
  if (found === undefined || pf === undefined) {
    if (absent !== undefined) throw absent;
    return undefined;
  }
  const { index } = found.vf;
  return await work({
    name: `${found.pf.address} (${pf.name})`,
    vf: index,
    set: async (change) => await netlink.setVf(pf.index, index, change),
    read: async () => {
      const vfs = await netlink.vfs(pf.index);
      return vfs === 'too many' ? 'untold' : vfs.find((each) => each.index === index);
    },
  });
}

function nothingToSetItOn(address: string): Error {
  return new Error(
    `${address}: there is no such VF, or its PF has no netdev here to set the VF's attributes on; is the PF bound to its driver?`,
  );
}

async function setOne(pf: OwnPf, key: Key, value: VfChange[Key]): Promise<void> {
  try {
    await pf.set({ [key]: value });
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    const lacking =
      error.code === 'EOPNOTSUPP' ? 'its driver has no such setting; leave it out of the network' : 'its driver refused';
    throw new Error(`set ${words[key]} of VF ${pf.vf} of PF ${pf.name}: ${lacking} (${error.message})`, { cause: error });
  }
  if (key === 'mac') await untilRead(pf, String(value));
}

async function untilRead(pf: OwnPf, mac: string): Promise<void> {
  for (let look = 1; ; look++) {
    const told = await pf.read();
    const now = told === 'untold' ? mac : told?.mac;
    if (now === mac) return;
    if (look === looks) throw new Error(`set the MAC of VF ${pf.vf} of PF ${pf.name} to ${mac}: the PF still says ${now}`);
    await sleep(pause);
  }
}

const words = {
  trust: 'trust',
  spoofchk: 'spoofchk',
  mac: 'the MAC',
  vlan: 'the VLAN',
  rate: 'maxTxRate and minTxRate',
  linkState: 'linkState',
} as const satisfies Record<Key, string>;

function same(key: Key, a: VfChange[Key], b: VfChange[Key]): boolean {
  if (key === 'vlan' && isNoVlan(a) && isNoVlan(b)) return true;
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Without a VLAN, priority and protocol mean nothing. */
function isNoVlan(value: VfChange[Key]): boolean {
  return typeof value === 'object' && 'id' in value && value.id === 0;
}
