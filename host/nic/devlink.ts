// What devlink says about a NIC's switch: its mode and its ports. It only reads. Source: linux/devlink.h, Documentation/networking/devlink/.

import { readText, readU8, readU16, readU32, text } from '../netlink/wire/codec.ts';
import { NetlinkError } from '../netlink/wire/error.ts';
import type { Answer, Command, Family } from '../netlink/wire/generic.ts';
import type { PortName, SwitchPort } from './representor.ts';
import type { EswitchMode } from './vf.ts';

const commands = { portGet: 5, eswitchGet: 29 } as const;
const attributes = {
  busName: 1,
  devName: 2,
  netdevName: 7,
  eswitchMode: 25,
  flavour: 77,
  number: 78,
  splitSubport: 79,
  pf: 127,
  vf: 128,
  controller: 150,
  sf: 164,
} as const;
const flavours = { physical: 0, pciPf: 3, pciVf: 4, pciSf: 7 } as const;
const modes: Readonly<Record<number, EswitchMode>> = { 0: 'legacy', 1: 'switchdev' };

/**
 * The mode of a PF's switch. Undefined when its driver does not tell it, or when we may not ask: the kernel answers this question only to
 * processes with CAP_NET_ADMIN.
 * @param pf - its PCI address. @throws NetlinkError
 */
export async function findEswitchMode(devlink: Family, pf: string): Promise<EswitchMode | undefined> {
  try {
    const [answer] = await devlink.ask({
      attempt: `ask for the eswitch mode of ${pf}`,
      command: commands.eswitchGet,
      attributes: handleOf(pf),
    });
    const mode = answer?.get(attributes.eswitchMode);
    return mode && modes[readU16(mode)];
  } catch (error) {
    if (error instanceof NetlinkError && untold.has(error.code)) return undefined;
    throw error;
  }
}

function handleOf(pf: string): readonly Buffer[] {
  return [text(attributes.busName, 'pci'), text(attributes.devName, pf)];
}

/** No such devlink device (ENODEV), no eswitch (EOPNOTSUPP), not allowed (EPERM), the mode is being changed (EBUSY). */
const untold: ReadonlySet<string> = new Set(['ENODEV', 'EOPNOTSUPP', 'EPERM', 'EBUSY']);

/**
 * All ports of all PCI devices that have a netdev in our namespace and a flavour that matters. The kernel asks each device's driver, so a
 * device that is busy (its firmware is being flashed) delays the whole list. @throws NetlinkError
 */
export async function listPorts(devlink: Family): Promise<readonly SwitchPort[]> {
  return await portsOf(devlink, { attempt: 'list devlink ports', attributes: [] });
}

/** The ports of one PF's device. Kernels before 6.6 list those of all devices. */
export async function listPortsOf(devlink: Family, pf: string): Promise<readonly SwitchPort[]> {
  return await portsOf(devlink, { attempt: `list devlink ports of ${pf}`, attributes: handleOf(pf) });
}

async function portsOf(devlink: Family, question: Pick<Command, 'attempt' | 'attributes'>): Promise<readonly SwitchPort[]> {
  const answers = await devlink.list({ ...question, command: commands.portGet });
  return answers.flatMap((answer) => parsePort(answer) ?? []);
}

/** @returns undefined for a port that no VF could need. */
function parsePort(answer: Answer): SwitchPort | undefined {
  const [bus, parent, netdev] = [attributes.busName, attributes.devName, attributes.netdevName].map((type) =>
    textOf(answer, type),
  );
  const name = nameOf(answer);
  if (bus !== 'pci' || parent === undefined || netdev === undefined || name === undefined) return undefined;
  return { netdev, parent, name, devlink: true };
}

function nameOf(answer: Answer): PortName | undefined {
  const controller = answer.get(attributes.controller);
  const withController = controller && { controller: readU32(controller) };
  const [pf, vf] = [answer.get(attributes.pf), answer.get(attributes.vf)].map((value) => value && readU16(value));
  const [port, split, sf] = [attributes.number, attributes.splitSubport, attributes.sf].map((type) => numberOf(answer, type));
  switch (numberOf(answer, attributes.flavour)) {
    case flavours.physical:
      return { kind: 'physical', port: port ?? 0, ...(split !== undefined && { split }) };
    case flavours.pciPf:
      return pf === undefined ? undefined : { kind: 'pf', pf, ...withController };
    case flavours.pciVf:
      return pf === undefined || vf === undefined ? undefined : { kind: 'vf', pf, vf, ...withController };
    case flavours.pciSf:
      return pf === undefined || sf === undefined ? undefined : { kind: 'sf', pf, sf, ...withController };
    default:
      return undefined;
  }
}

function textOf(answer: Answer, type: number): string | undefined {
  const value = answer.get(type);
  return value && readText(value);
}

function numberOf(answer: Answer, type: number): number | undefined {
  const value = answer.get(type);
  if (value === undefined) return undefined;
  return value.length === 1 ? readU8(value) : value.length === 2 ? readU16(value) : readU32(value);
}
