// What the daemon's error codes mean and what to do about them, by operation.
import { lettersWords } from '../settings.ts';
import type { PortControlRequest, PortControlResponse } from './messages.ts';

type Op = PortControlRequest['op'];
type Codes = Readonly<Record<number, string>>;

const adding: Codes = {
  1: 'there is no such relay',
  2: 'the VF could not be probed; is it bound to vfio-pci?',
  4: 'the VF could not be configured, or not be given its MTU',
  5: "the VF's receive queue could not be set up",
  6: "the VF's transmit queue could not be set up",
  8: 'the relay has a VF already',
  [-1]: 'no memory pool; has the daemon enough hugepages?',
};

const stillHeld = 'The daemon holds the VF still: restart it, and all pairs are attached again';

/** By operation and error_code. ENOENT and EINVAL come as positive numbers. */
const meanings = {
  ADD: adding,
  REMOVE: {
    1: 'there is no such relay',
    2: `the VF could not be detached; ${stillHeld}`,
    3: 'the relay has another VF',
    4: 'the relay has no VF',
    5: `a worker did not stop in time; is its core starved? ${stillHeld}`,
  },
  ADD_SOCK: {
    [-17]: 'the VF is attached already',
    1: 'the socket is registered already',
    2: "no relay is idle: all are in use (32 with Debian's DPDK), or the daemon was started without --dynamic-sockets",
    [-1]: 'no socket was named',
    3: 'the VF could not be probed or configured; is it bound to vfio-pci, and are there hugepages left?',
    4: 'the bond could not be made, or no VF was named',
    5: 'the socket could not be registered with vhost',
  },
  REMOVE_SOCK: {
    [-1]: 'neither socket nor VF was named',
    1: 'the pair is not known',
    2: 'socket and VF belong to different relays',
    3: 'the socket could not be taken from vhost',
    4: `the socket is gone, but a worker did not stop in time, and the VF could not be removed; is its core starved? ${stillHeld}`,
  },
  QUERY_PCI: { 2: 'the socket is not known', 22: 'the question was not understood' },
} as const satisfies Record<Op, Codes>;

/** `virtio-forwarder refused ADD_SOCK of … : 3 (virtio_add_sock_dev_pair()): the VF could not be probed …` */
export function refusal({ op, device, socket }: PortControlRequest, { code, source }: PortControlResponse): Error {
  const what = `virtio-forwarder refused ${op} of ${[device, socket].filter((each) => each !== undefined).join(' and ')}`;
  if (code === undefined) return new Error(`${what} without a reason: it did not accept the request; see its log`);
  const codes: Codes = meanings[op];
  const letters = op === 'ADD_SOCK' && code === 3 && device !== undefined && /[a-f]/.test(device) ? `. ${lettersWords}` : '';
  const where = source === undefined ? '' : ` (${source})`;
  return new Error(`${what}: error ${code}${where}: ${codes[code] ?? 'see its log'}${letters}`);
}

/** Whether the daemon holds the VF still, although its statistics may name it no longer. */
export function isNotReleased({ op }: PortControlRequest, { code }: PortControlResponse): boolean {
  return (op === 'REMOVE_SOCK' && code === 4) || (op === 'REMOVE' && (code === 2 || code === 5));
}
