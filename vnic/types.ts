// The vnic types by name, in Neutron's spelling. What each does stands in the file of that name; vnic/index.ts has the table.

export const vnicTypes = ['normal', 'direct', 'virtio-forwarder'] as const;
export type VnicType = (typeof vnicTypes)[number];

export function isVnicType(text: unknown): text is VnicType {
  return typeof text === 'string' && (vnicTypes as readonly string[]).includes(text);
}
