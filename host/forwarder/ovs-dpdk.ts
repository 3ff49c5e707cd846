// The forwarder `ovs-dpdk`: Open vSwitch's own userspace datapath. The bridge's port is the vhost-user connection itself, and no VF is used.
// OVSDB remembers it, so there is nothing to attach and nothing to keep.
import { messageOf } from '../base/errors.ts';
import { checkSocketPath } from '../files/unix-socket.ts';
import { vswitchdRunning } from '../ovs/bridge.ts';
import type { Row } from '../ovs/ovsdb/schema.ts';
import type { Ovsdb } from '../ovs/ovsdb.ts';
import type { Attached, Forwarder } from './forwarder.ts';

/** With this type the consumer is the socket's server, so either side may restart. With the other type the consumer would have to restart, too. */
const type = 'dpdkvhostuserclient';

/** Milliseconds for which an answer is used again. Asking makes ovs-vswitchd look at all its ports, and anybody may ask /readyz. */
const healthAge = 5000;

export function openOvsDpdk(db: Ovsdb): Forwarder {
  let last: { readonly at: number; readonly problem: Promise<string | undefined> } | undefined;
  const health = () => {
    if (last === undefined || performance.now() - last.at > healthAge) last = { at: performance.now(), problem: ask() };
    return last.problem;
  };
  const ask = async () => {
    try {
      // While it is down, OVSDB still has what it last said about DPDK and ports.
      if (!(await vswitchdRunning(db))) return `ovs-vswitchd does not answer at ${db.address}; is it running?`;
      await requireDpdk(db);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
  return {
    async attach({ socket }) {
      checkSocketPath(socket);
      await requireDpdk(db);
    },
    async detach() {},
    async attached() {
      const replica = await db.replica();
      return [...replica.interfaces()].filter((row) => row.type === type).map(attachedOf);
    },
    health,
    port: ({ socket, mtu }) => ({ type, options: { 'vhost-server-path': socket }, mtuRequest: mtu }),
    async [Symbol.asyncDispose]() {},
  };
}

/** `status` as ovs-vswitchd keeps it (ovs-vswitchd.conf.db(5), "vhost-user Status"); a queue has two rings. */
function attachedOf({ name, options, status, mtu, error }: Row<'Interface'>): Attached {
  const rings = Number(status.get('num_of_vrings') ?? 0);
  const state = error ?? status.get('status') ?? 'not taken by ovs-vswitchd yet';
  return {
    device: name,
    socket: options.get('vhost-server-path') ?? '',
    status: `${state}, ${rings / 2} queues, MTU ${mtu ?? 'unknown'}`,
  };
}

async function requireDpdk(db: Ovsdb): Promise<void> {
  if ((await db.replica()).openVSwitch()?.dpdk_initialized) return;
  throw new Error(
    `Open vSwitch at ${db.address} runs without DPDK: set other_config:dpdk-init=true in its table Open_vSwitch and start ` +
      `ovs-vswitchd of openvswitch-switch-dpdk; its log says what DPDK lacks`,
  );
}
