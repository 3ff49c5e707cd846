// Which netdev is a VF's port on its PF's switch. Pure. It judges by devlink's port attributes or by phys_port_name, and never by the
// netdev's name, which depends on udev and the probe order. host/nic/switch-ports.ts reads what is judged here.
import { isPciAddress } from '../base/pci-address.ts';

/**
 * What a port of a NIC's switch is, by its name. `controller` 0 (or absent) is this machine; others are the hosts that a DPU serves.
 * Source: Documentation/networking/switchdev.rst and the drivers' `ndo_get_phys_port_name`.
 */
export type PortName =
  | { readonly kind: 'physical'; readonly port: number; readonly split?: number }
  | { readonly kind: 'pf'; readonly controller?: number; readonly pf: number; readonly split?: number }
  | { readonly kind: 'vf'; readonly controller?: number; readonly pf?: number; readonly vf: number }
  | { readonly kind: 'sf'; readonly controller?: number; readonly pf: number; readonly sf: number }
  | { readonly kind: 'vnic'; readonly vnic: number }
  | { readonly kind: 'other'; readonly text: string };

/** One netdev on a NIC's switch. */
export interface SwitchPort {
  readonly netdev: string;
  /** `phys_switch_id`, hex. Absent where only devlink knows the port. */
  readonly switchId?: string;
  /** PCI address of the device to which the netdev belongs: the PF's for a representor. Absent for drivers that don't tell it. */
  readonly parent?: string;
  readonly name: PortName;
  /** True when devlink told the name (by flavour and numbers). It counts more than any phys_port_name. */
  readonly devlink: boolean;
}

/** What is known about the VF. */
export interface RepresentorOf {
  /** PCI address of the PF. */
  readonly pf: string;
  readonly switchId?: string;
  /** N of the PF's virtfnN. */
  readonly index: number;
}

/** @param text - `phys_port_name` as read, e.g. `p0`, `p0s1`, `pf0vf3`, `c1pf0vf3`, `3`. An unknown shape becomes `other`. */
export function parsePortName(text: string): PortName {
  for (const [pattern, make] of shapes) {
    const groups = pattern.exec(text)?.groups;
    if (groups !== undefined) return make(groups);
  }
  return { kind: 'other', text };
}

/** The representor of a VF among all switch ports of the machine. Undefined when no port fits, or when more than one fits equally. */
export function findRepresentor(vf: RepresentorOf, ports: readonly SwitchPort[]): string | undefined {
  const fits = ports.filter((port) => isVfPort(port, vf.index) && sameSwitch(port, vf));
  const told = fits.filter((port) => port.devlink);
  const candidates = told.length > 0 ? told : fits;
  const own = candidates.filter((port) => port.parent === vf.pf);
  if (own.length > 0) return ofOwnPf(own, vf)?.netdev;
  // What belongs to another PCI function is another PF's, whatever its number is.
  return byNumber(
    candidates.filter(({ parent }) => parent === undefined || !isPciAddress(parent)),
    vf,
    ports,
  )?.netdev;
}

/** Whether the port is a representor of a VF of this machine (any VF). */
export function isLocalVf(port: SwitchPort): boolean {
  return port.name.kind === 'vf' && (port.name.controller ?? 0) === 0;
}

function isVfPort(port: SwitchPort, index: number): boolean {
  return isLocalVf(port) && port.name.kind === 'vf' && port.name.vf === index;
}

function sameSwitch(port: SwitchPort, { switchId, pf }: RepresentorOf): boolean {
  if (port.switchId === undefined || switchId === undefined) return port.parent === pf;
  return port.switchId === switchId;
}

/** On some cards the PFs' numbers differ from their PCI functions. The parent is right there, too, so a single port that has it is taken. */
function ofOwnPf(own: readonly SwitchPort[], vf: RepresentorOf): SwitchPort | undefined {
  return onlyOne(own) ?? onlyOne(own.filter((port) => pfNumber(port) === functionOf(vf.pf)));
}

/**
 * For drivers that name no parent. The PF's number is its PCI function, which says nothing when the switch has PFs in several slots: a NIC that
 * is plugged into both sockets shows 0000:3b:00.0 and 0000:86:00.0. A bare number tells only the VF, so the switch must be this PF's alone.
 */
function byNumber(candidates: readonly SwitchPort[], vf: RepresentorOf, ports: readonly SwitchPort[]): SwitchPort | undefined {
  const parents = new Set(ports.filter((port) => sameSwitch(port, vf)).flatMap(({ parent }) => parent ?? []));
  const pfs = [...parents].filter(isPciAddress);
  if (pfs.some((other) => slotOf(other) !== slotOf(vf.pf))) return undefined;
  const numbered = candidates.filter((port) => pfNumber(port) !== undefined);
  if (numbered.length > 0) return onlyOne(numbered.filter((port) => pfNumber(port) === functionOf(vf.pf)));
  return pfs.length === 1 && pfs[0] === vf.pf ? onlyOne(candidates) : undefined;
}

function onlyOne(ports: readonly SwitchPort[]): SwitchPort | undefined {
  return ports.length === 1 ? ports[0] : undefined;
}

/** @example slotOf('0000:3b:00.1') gives '0000:3b:00' */
function slotOf(address: string): string {
  return address.slice(0, -2);
}

function functionOf(address: string): number {
  return Number.parseInt(address.slice(-1), 16);
}

function pfNumber(port: SwitchPort): number | undefined {
  return port.name.kind === 'vf' ? port.name.pf : undefined;
}

type Groups = Readonly<Record<string, string | undefined>>;

/**
 * Shapes as drivers print them: mlx5 and ice `p0`, `pf0vf3`, `c1pf0vf3`, `pf0sf88`; nfp also `p0s1`, `pf0`, `pf0s1`, `n0`; sfc `p0pf0vf3`; ice before
 * Linux 6.3 `pf0vfr3`; mlx5 before Linux 4.19 `3`.
 */
const shapes: readonly (readonly [RegExp, (groups: Groups) => PortName])[] = [
  [/^p(?<port>\d+)(?:s(?<split>\d+))?$/, (g) => ({ kind: 'physical', port: number(g, 'port'), ...numbers(g, 'split') })],
  [
    /^(?:c(?<controller>\d+))?(?:p\d+)?pf(?<pf>\d+)vfr?(?<vf>\d+)$/,
    (g) => ({ kind: 'vf', ...numbers(g, 'controller', 'pf'), vf: number(g, 'vf') }),
  ],
  [
    /^(?:c(?<controller>\d+))?pf(?<pf>\d+)sf(?<sf>\d+)$/,
    (g) => ({ kind: 'sf', ...numbers(g, 'controller'), pf: number(g, 'pf'), sf: number(g, 'sf') }),
  ],
  [
    /^(?:c(?<controller>\d+))?pf(?<pf>\d+)(?:s(?<split>\d+))?$/,
    (g) => ({ kind: 'pf', ...numbers(g, 'controller', 'split'), pf: number(g, 'pf') }),
  ],
  [/^n(?<vnic>\d+)$/, (g) => ({ kind: 'vnic', vnic: number(g, 'vnic') })],
  [/^(?<vf>\d+)$/, (g) => ({ kind: 'vf', vf: number(g, 'vf') })],
];

function number(groups: Groups, key: string): number {
  return Number(groups[key]);
}

function numbers<K extends string>(groups: Groups, ...keys: readonly K[]): { readonly [key in K]?: number } {
  const present = keys.filter((key) => groups[key] !== undefined);
  return Object.fromEntries(present.map((key) => [key, Number(groups[key])])) as { [key in K]?: number };
}
