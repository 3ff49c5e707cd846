// Opens the forwarder that the node's configuration names, behind a keeper if it forgets its pairs.
import type { Logger } from '../base/log.ts';
import { isSocketOpen } from '../files/socket-owner.ts';
import type { Ovsdb } from '../ovs/ovsdb.ts';
import type { Forwarder } from './forwarder.ts';
import { keepPairs } from './keeper.ts';
import { openOvsDpdk } from './ovs-dpdk.ts';
import type { ForwarderSettings } from './settings.ts';
import { openTestpmd } from './testpmd.ts';
import { openWantedPairs } from './wanted-pairs.ts';
import { openXvio } from './xvio/xvio.ts';

export interface OpenForwarderOptions {
  readonly db: Ovsdb;
  readonly log: Logger;
  /** Where the wanted pairs are kept. */
  readonly directory: string;
  readonly bootId: string;
  /** Below it all sockets of ours lie. */
  readonly sockets: string;
  /** Which attachment may have the VF, in words. Undefined when none has it. */
  readonly attachmentOf: (device: string) => string | undefined;
}

export async function openForwarder(settings: ForwarderSettings, options: OpenForwarderOptions): Promise<Forwarder> {
  const forwarder = openBackEnd(settings, options.db);
  if (settings.kind === 'ovs-dpdk') return forwarder;
  const { directory, bootId, log, sockets, attachmentOf } = options;
  return keepPairs({
    forwarder,
    wanted: await openWantedPairs({ directory, bootId }),
    log,
    isOurs: (socket) => socket.startsWith(`${sockets}/`),
    attachmentOf,
    isServed: isSocketOpen,
  });
}

/** The one that relays, without the keeping. */
export function openBackEnd(settings: ForwarderSettings, db: Ovsdb): Forwarder {
  switch (settings.kind) {
    case 'ovs-dpdk':
      return openOvsDpdk(db);
    case 'xvio':
      return openXvio(settings);
    case 'testpmd':
      return openTestpmd(settings);
  }
}
