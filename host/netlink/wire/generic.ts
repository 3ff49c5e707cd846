// Generic netlink: families by name, and their commands. Knows no family (devlink.ts, ethtool.ts).
// Source: linux/genetlink.h and Documentation/userspace-api/netlink/intro.rst.
import { attributeMap, readU16, text } from './codec.ts';
import { NetlinkError } from './error.ts';
import type { Session } from './session.ts';

/** One command of a family: what is attempted (for errors), its number, its attributes. */
export interface Command {
  readonly attempt: string;
  readonly command: number;
  readonly attributes: readonly Buffer[];
}

/** What the kernel answered: attributes by type. */
export type Answer = ReadonlyMap<number, Buffer>;

export interface Family {
  /** @throws NetlinkError */
  ask(command: Command): Promise<readonly Answer[]>;
  /** Everything the family lists. @throws NetlinkError */
  list(command: Command): Promise<readonly Answer[]>;
}

const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const genericHeader = 4;

/** @param session - of protocol `generic`. @returns undefined when this kernel has no such family. */
export async function findFamily(session: Session, name: string): Promise<Family | undefined> {
  const controller = familyOf(session, GENL_ID_CTRL);
  try {
    const [answer] = await controller.ask({
      attempt: `look up the kernel's netlink family ${name}`,
      command: CTRL_CMD_GETFAMILY,
      attributes: [text(CTRL_ATTR_FAMILY_NAME, name)],
    });
    const id = answer?.get(CTRL_ATTR_FAMILY_ID);
    return id && familyOf(session, readU16(id));
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function familyOf(session: Session, type: number): Family {
  const request = ({ attempt, command, attributes }: Command) => ({
    attempt,
    type,
    body: Buffer.concat([Buffer.of(command, 1, 0, 0), ...attributes]), // every family used here is at version 1
  });
  return {
    ask: async (command) =>
      (await session.request(request(command))).map(({ body }) => attributeMap(body.subarray(genericHeader))),
    list: async (command) => (await session.dump(request(command))).map(({ body }) => attributeMap(body.subarray(genericHeader))),
  };
}
