// What the daemon's error codes mean and what to do about them, by operation.
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

/** By operation and error_code. ENOENT and EINVAL come as positive numbers. */
const meanings = {
  ADD: adding,
  REMOVE: {
    2: 'the VF could not be detached',
    3: 'the relay has another VF',
    4: 'the relay has no VF',
    5: 'a worker did not stop in time; is its core starved?',
  },
  ADD_SOCK: {
    [-17]: 'the VF is attached already',
    1: 'the socket is registered already',
    2: 'no relay is idle; was the daemon started with --dynamic-sockets, and for enough relays?',
    3: 'the VF could not be probed or configured; is it bound to vfio-pci, and are there hugepages left?',
    4: 'the bond could not be made',
    5: 'the socket could not be registered with vhost',
  },
  REMOVE_SOCK: {
    [-1]: 'neither socket nor VF was named',
    1: 'the pair is not known',
    2: 'socket and VF belong to different relays',
    3: 'the socket could not be taken from vhost',
    4: 'the socket is gone, but the VF could not be removed',
  },
  QUERY_PCI: { 2: 'the socket is not known', 22: 'the question was not understood' },
} as const satisfies Record<Op, Codes>;

/** `virtio-forwarder refused ADD_SOCK of … : 3 (virtio_add_sock_dev_pair()): the VF could not be probed …` */
export function refusal({ op, device, socket }: PortControlRequest, { code, source }: PortControlResponse): Error {
  const what = `virtio-forwarder refused ${op} of ${[device, socket].filter((each) => each !== undefined).join(' and ')}`;
  if (code === undefined) return new Error(`${what} without a reason: it did not accept the request; see its log`);
  const codes: Codes = meanings[op];
  const where = source === undefined ? '' : ` (${source})`;
  return new Error(`${what}: error ${code}${where}: ${codes[code] ?? 'see its log'}`);
}
