// Which netdev is a VF's port on its PF's switch. Pure. It judges by devlink's port attributes or by phys_port_name, and never by the
// netdev's name, which depends on udev and the probe order. host/nic/switch-ports.ts reads what is judged here.

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
  return only(own, vf) ?? only(own.length > 0 ? [] : candidates.filter((port) => pfNumber(port) !== undefined), vf);
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

/** A single candidate is the answer unless its PF number contradicts. Among several, it is the one whose PF number is the PF's PCI function. */
function only(candidates: readonly SwitchPort[], vf: RepresentorOf): string | undefined {
  const pfFunction = Number.parseInt(vf.pf.slice(-1), 16);
  const first = candidates[0];
  // On some cards the PFs' numbers differ from their PCI functions. There, too, the parent is right, so a single candidate with it is taken.
  if (candidates.length === 1 && first?.parent === vf.pf) return first.netdev;
  const numbered = candidates.filter((port) => pfNumber(port) === pfFunction);
  return numbered.length === 1 ? numbered[0]?.netdev : undefined;
}

function pfNumber(port: SwitchPort): number | undefined {
  return port.name.kind === 'vf' ? port.name.pf : undefined;
}

type Groups = Readonly<Record<string, string | undefined>>;

/** Shapes as drivers print them: mlx5 and ice `p0`, `pf0vf3`, `c1pf0vf3`, `pf0sf88`; nfp also `p0s1`, `pf0`, `pf0s1`, `n0`; kernels before 4.14 `3`. */
const shapes: readonly (readonly [RegExp, (groups: Groups) => PortName])[] = [
  [/^p(?<port>\d+)(?:s(?<split>\d+))?$/, (g) => ({ kind: 'physical', port: number(g, 'port'), ...numbers(g, 'split') })],
  [
    /^(?:c(?<controller>\d+))?pf(?<pf>\d+)vf(?<vf>\d+)$/,
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
