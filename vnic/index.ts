// The table of vnic types. A new type is one file and one line here.
import { direct } from './direct.ts';
import { normal } from './normal.ts';
import type { VnicType } from './types.ts';
import { virtioForwarder } from './virtio-forwarder.ts';
import type { Vnic } from './vnic.ts';

export const vnics: Readonly<Record<VnicType, Vnic>> = {
  normal,
  direct,
  'virtio-forwarder': virtioForwarder,
};
