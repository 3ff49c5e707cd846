// Asks the kernel's network side what sysfs does not know: eswitch modes, devlink ports, offloads, addresses, routes, and who uses vfio.
// A question that the kernel does not answer is reported, and the last answer is used in its place.

import { messageOf } from '../base/errors.ts';
import type { Machine } from '../base/machine.ts';
import { keepLast, type Unread } from '../base/unread.ts';
import { existsOnHost, onHost } from '../kernel/sysfs.ts';
import { readVfioHolders, type VfioHolders } from '../kernel/vfio-holders.ts';
import { findFeatures } from '../netlink/ethtool.ts';
import { type Family, findFamily } from '../netlink/wire/generic.ts';
import { openErrandSession, openSession, type Session } from '../netlink/wire/session.ts';
import { protocols } from '../netlink/wire/socket.ts';
import { findEswitchMode, listPorts } from './devlink.ts';
import type { AskKernel } from './nics.ts';
import type { PciPf } from './pci.ts';
import type { SwitchPort } from './representor.ts';
import { askUse, type UseNetlink } from './use.ts';
import type { EswitchMode } from './vf.ts';
import { isAtVfio } from './vfio-driver.ts';

export interface KernelQuestions extends Disposable {
  readonly ask: AskKernel;
  /** The number of processes whose open files we could not see at the last look. If it is above 0, a VF in use by vfio may be overlooked. */
  readonly hidden: number;
}

/** Milliseconds for which an answer about vfio's users is used again. To find them, every descriptor of the machine must be looked at. */
const holdersAge = 30_000;

export interface QuestionOptions extends Machine {
  readonly netlink: () => UseNetlink & Disposable;
  /** Generic netlink; a test passes its own. `devlink` has a session for itself, because a driver may hold up its questions for minutes. */
  readonly generic?: Session;
  readonly devlink?: Session;
}

/** @throws SystemError when the machine gives no netlink socket. */
export function openKernelQuestions(host: QuestionOptions): KernelQuestions {
  const generic = host.generic ?? openSession({ protocol: protocols.generic });
  const patient = host.devlink ?? openErrandSession({ protocol: protocols.generic });
  const route = host.netlink();
  const asked = {
    family: keepLast<Family | undefined>(),
    mode: keepLast<EswitchMode | undefined>(),
    ports: keepLast<readonly SwitchPort[]>(),
    offload: keepLast<boolean | undefined>(),
  };
  const use = askUse(host, route);
  let vfio: { readonly at: number; readonly found: VfioHolders } | undefined;

  async function holders(pfs: readonly PciPf[], report: (unread: Unread) => void): Promise<VfioHolders> {
    const vfs = pfs.flatMap((pf) => pf.vfs.filter(isAtVfio));
    if (vfs.length === 0) return { holders: new Map(), hidden: 0 };
    try {
      if (vfio === undefined || performance.now() - vfio.at > holdersAge)
        vfio = { at: performance.now(), found: await readVfioHolders(host) };
    } catch (error) {
      const words = messageOf(error);
      if (vfio === undefined) for (const { address } of vfs) report({ address, words });
      else report({ words });
    }
    return vfio?.found ?? { holders: new Map(), hidden: 0 };
  }

  return {
    ask: async (pfs, uplinks) => {
      const unread: Unread[] = [];
      const report = (one: Unread) => void unread.push(one);
      const say = (words: string) => report({ words });
      const family = (name: string, session: Session) => asked.family(name, say, () => findFamily(session, name));
      const [devlink, ethtool] = [await family('devlink', patient), await family('ethtool', generic)];
      const eswitchModes = new Map<string, EswitchMode>();
      for (const { address } of devlink ? pfs : []) {
        const mode = devlink && (await asked.mode(address, say, () => findEswitchMode(devlink, address)));
        if (mode !== undefined) eswitchModes.set(address, mode);
      }
      const ports = (devlink && (await asked.ports('', say, () => listPorts(devlink)))) ?? [];
      const hwTcOffload = new Map<string, boolean>();
      for (const netdev of ethtool ? uplinks : []) {
        const on = ethtool && (await asked.offload(netdev, say, () => findOffload(ethtool, netdev)));
        if (on !== undefined) hwTcOffload.set(netdev, on);
      }
      return {
        eswitchModes,
        // The list may be an old one, so netdevs that are gone are taken out.
        ports: ports.filter(({ netdev }) => unread.length === 0 || existsOnHost(onHost(host, `/sys/class/net/${netdev}`))),
        hwTcOffload,
        ...(await use(pfs, report)),
        vfioHolders: (await holders(pfs, report)).holders,
        unread,
      };
    },
    get hidden() {
      return vfio?.found.hidden ?? 0;
    },
    [Symbol.dispose]() {
      generic[Symbol.dispose]();
      patient[Symbol.dispose]();
      route[Symbol.dispose]();
    },
  };
}

/** Undefined: the kernel does not tell. */
async function findOffload(ethtool: Family, netdev: string): Promise<boolean | undefined> {
  const features = await findFeatures(ethtool, netdev);
  return features?.has('hw-tc-offload');
}
