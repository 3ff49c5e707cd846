// Tells that links, addresses or routes of our network namespace changed. The listener finds out what changed.
// Source: linux/rtnetlink.h, RTMGRP_*.
import { SystemError } from '../kernel/libc.ts';
import { openSocket, protocols } from './wire/socket.ts';

/** RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE. */
const groups = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/** Milliseconds of one wait. The end can take as long, because a descriptor is not closed while it is polled. */
const patience = 1000;

/** Yields once for every batch of notices, until the signal ends it. @throws SystemError when the machine gives no such socket. */
export async function* readNotices(signal: AbortSignal): AsyncGenerator<'changed', void> {
  using socket = openSocket({ protocol: protocols.route, groups });
  while (!signal.aborted) {
    let any = false;
    try {
      while (socket.receive() !== undefined) any = true;
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== 'ENOBUFS') throw error;
      any = true; // the kernel dropped some notices, so there were some
    }
    if (any) yield 'changed';
    await socket.readable(patience);
  }
}
