// The forwarder that the node's configuration names, with the keeping of its pairs where it forgets them.
import type { Logger } from '../log.ts';
import type { Ovsdb } from '../ovsdb.ts';
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
}

export async function openForwarder(settings: ForwarderSettings, options: OpenForwarderOptions): Promise<Forwarder> {
  if (settings.kind === 'ovs-dpdk') return openOvsDpdk(options.db);
  const { directory, bootId, log, sockets } = options;
  return keepPairs({
    forwarder: settings.kind === 'xvio' ? openXvio(settings) : openTestpmd(settings),
    wanted: await openWantedPairs({ directory, bootId }),
    log,
    isOurs: (socket) => socket.startsWith(`${sockets}/`),
  });
}
