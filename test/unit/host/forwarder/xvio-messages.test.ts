import assert from 'node:assert/strict';
import { join } from 'node:path';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import fc from 'fast-check';
import { decodePortControl, decodeStats, encodePortControl, encodeStats } from '../../../../host/forwarder/xvio/messages.ts';
import { refusal } from '../../../../host/forwarder/xvio/refusals.ts';

const [socket, device] = ['/var/run/virtio-forwarder/pod1-net1.sock', '0000:05:08.1'];
const path = Buffer.from(socket).toString('hex');
const tail = `1208080010051808200120013a28${path}`;

const proto = loadSync(join(import.meta.dirname, '../../../../proto/virtioforwarder.proto'), {
  keepCase: true,
  enums: String,
  defaults: true,
});
const message = (name: string) => proto[`virtioforwarder.${name}`] as MessageTypeDefinition<object, object>;

const side = { internal_state: 'X', active: true, pkts_rx_from_vf: 7 };
const rates = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 0.5]));
const toVm = { ...side, ...rates(['pkt_rate_rx_from_vf', 'byte_rate_rx_from_vf', 'pkt_rate_tx_to_vm', 'byte_rate_tx_to_vm']) };
const toVf = { ...side, ...rates(['pkt_rate_rx_from_vm', 'byte_rate_rx_from_vm', 'pkt_rate_tx_to_vf', 'byte_rate_tx_to_vf']) };
const relay = (id: number, name: string, pci?: string) => ({
  id,
  active: true,
  vhost: { vhost_socket_name: name },
  vf: pci === undefined ? undefined : { pci_addr_str: pci },
  vf_to_vm: { ...toVm, internal_state: 'DPDK_READY' },
  vm_to_vf: { ...toVf, internal_state: 'VIRTIO_READY' },
  socket_id: 0,
});

describe("virtio-forwarder's messages", () => {
  it('are byte for byte what protoc makes of the same requests', () => {
    const hex = (...args: Parameters<typeof encodePortControl>) => encodePortControl(...args).toString('hex');
    assert.equal(hex({ op: 'ADD_SOCK', device, socket }), `0802${tail}`);
    assert.equal(hex({ op: 'REMOVE_SOCK', device, socket }), `0803${tail}`);
    assert.equal(hex({ op: 'QUERY_PCI', socket }), `08043a28${path}`);
    assert.equal(hex({ op: 'ADD', device, relay: 1 }), '08001208080010051808200118012001');
    assert.equal(hex({ op: 'REMOVE', device, relay: 1 }), '08011208080010051808200118012001');
  });

  it('are the same in our schema, whatever address, relay and path', () => {
    const hex = (length: number) =>
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
    const address = fc
      .tuple(hex(4), hex(2), fc.nat(0x1f), fc.nat(7))
      .map(([domain, bus, slot, fn]) => `${domain}:${bus}:${slot.toString(16).padStart(2, '0')}.${fn}`);
    const paths = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => `/${text}`);
    fc.assert(
      fc.property(address, fc.nat(0xffff_ffff), paths, (address, number, path) => {
        const [domain, bus, slot, fn] = address.split(/[:.]/).map((part) => Number.parseInt(part, 16));
        const expected = { op: 'REMOVE', pci_addrs: [{ domain, bus, slot, function: fn }], virtio_id: number, vhost_path: path };
        const bytes = encodePortControl({ op: 'REMOVE', device: address, relay: number, socket: path });
        const decoded = message('PortControlRequest').deserialize(bytes);
        assert.deepEqual({ ...decoded }, { ...decoded, ...expected, conditional: true });
      }),
    );
  });

  it('never ask for something that is no PCI address: a request without one ends the daemon', () => {
    assert.throws(() => encodePortControl({ op: 'ADD_SOCK', device: 'eth0', socket }), /can't relay to eth0/);
  });

  it('are read: success, an error without a code, errno -17 with its source, the answer to a question', () => {
    const decode = (hex: string) => decodePortControl(Buffer.from(hex, 'hex'));
    assert.deepEqual(decode('2001'), { ok: true });
    assert.deepEqual(decode('2000'), { ok: false });
    const source = 'virtio_add_sock_dev_pair()';
    const exists = '200028efffffffffffffffff01321a76697274696f5f6164645f736f636b5f6465765f706169722829';
    assert.deepEqual(decode(exists), { ok: false, code: -17, source });
    assert.deepEqual(decode('20013a0c303030303a30353a30382e31'), { ok: true, answer: device });
  });

  it('are read: the relays that have something, addresses in lower case, NONE as no socket', () => {
    const relays = [relay(0, '/a', '0000:0A:0B.1'), relay(1, 'NONE', '0000:0A:0B.2'), relay(2, '/c'), relay(3, 'NONE', '')];
    const status = 'DPDK_READY VIRTIO_READY';
    assert.deepEqual(decodeStats(message('StatsResponse').serialize({ status: 'OK', relay: relays })), [
      { relay: 0, status, socket: '/a', device: '0000:0a:0b.1' },
      { relay: 1, status, device: '0000:0a:0b.2' },
      { relay: 2, status, socket: '/c' },
      // It names nothing, but is not idle either: it may have a VF.
      { relay: 3, status },
    ]);
    assert.equal(encodeStats().toString('hex'), '1001');
  });

  it('are read in one go, however many fields a daemon puts into its answer', () => {
    // 400 KB: with a copy of all earlier fields for each of them, this took minutes.
    const many = Buffer.concat([Buffer.from('0800', 'hex'), Buffer.alloc(400_000, Buffer.from('1200', 'hex'))]);
    assert.throws(() => decodeStats(many), { message: 'its answer has no vhost_socket_name' });
  });

  it('are refused when they are none, and when the daemon could not make its statistics', () => {
    assert.throws(() => decodePortControl(Buffer.alloc(0)), { message: 'its answer has no status' });
    assert.throws(() => decodePortControl(Buffer.from('20', 'hex')), { message: 'a number that begins at byte 1 does not end' });
    assert.throws(() => decodePortControl(Buffer.from('3a0561', 'hex')), { message: 'field 7 ends 4 bytes behind the message' });
    assert.throws(() => decodeStats(message('StatsResponse').serialize({ status: 'ENOMEM', relay: [] })), /status 500/);
  });

  it("become errors with the daemon's code, its function and what to do", () => {
    const request = { op: 'ADD_SOCK', device, socket } as const;
    assert.equal(
      refusal(request, { ok: false, code: 3, source: 'virtio_add_sock_dev_pair()' }).message,
      `virtio-forwarder refused ADD_SOCK of ${device} and ${socket}: error 3 (virtio_add_sock_dev_pair()): the VF could not be probed or configured; is it bound to vfio-pci, and are there hugepages left?`,
    );
    assert.match(refusal(request, { ok: false }).message, /without a reason/);
    assert.match(refusal(request, { ok: false, code: 77 }).message, /error 77: see its log/);
  });
});
