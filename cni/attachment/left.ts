// What a teardown left of an attachment, in words for a person.
import type { Attachment } from './attachment.ts';
import type { Part } from './entry.ts';

const words: Readonly<Record<Part, (attachment: Attachment) => string>> = {
  hooks: () => 'its hooks',
  port: ({ bridge, ovsdb }) => `its port on bridge ${bridge} (${ovsdb})`,
  cable: ({ reserved }) => (reserved === undefined ? 'its cable' : `its cable (${reserved.id})`),
  addresses: ({ ipam }) => `its addresses (IPAM plugin ${ipam?.type})`,
  'device-info': ({ deviceInfo }) => `its device information (${deviceInfo})`,
};

export function wordsOfLeft(attachment: Attachment, left: readonly Part[]): string {
  return left.map((part) => words[part](attachment)).join(', ');
}
