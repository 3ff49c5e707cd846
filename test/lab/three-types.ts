// All vnic types on one bridge of the guest: a pod for each, and one pod that has all three; and a neighbour that pings them.
import type { CniAnswer } from '../support/node.ts';
import { type DirectMachine, kernel, type LabPod, virtio } from './direct-machine.ts';
import { type LabForwarder, pin, reachBehind } from './forwarder.ts';
import { pfs } from './hardware.ts';

export interface Plugging {
  readonly machine: DirectMachine;
  readonly forwarder: LabForwarder;
  /** Admits a pod, to be ended by the caller. */
  pod(resources: string | readonly string[], config?: object): Promise<LabPod>;
}

export interface Neighbour extends LabPod {
  readonly mac: string;
}

export interface Target {
  readonly pod: LabPod;
  readonly type: 'normal' | 'direct' | 'virtio-forwarder';
  readonly address: string;
  /** The VF behind it. */
  readonly vf: string;
}

export interface AllTypes {
  readonly near: Neighbour;
  readonly targets: readonly Target[];
  /** Further interfaces, to be ended by a DEL of their own before their pods. */
  readonly more: readonly LabPod['call'][];
}

/** The NICs whose VFs are plugged; put them on the bridge first. */
export const uplinks = [pfs[1].address, pfs[2].address] as const;

/** A pod of type normal on the bridge with that address, known to the PFs' switches. Throws what ADD refuses. */
export async function plugNeighbour({ machine, pod }: Plugging, address: string, vlan: number): Promise<Neighbour> {
  const made = await pod([], normal(address, vlan));
  const [port, { mac }] = (await add(machine, made.call)).interfaces;
  await pin(machine.lab, port.name, { mac, vlan });
  for (const pf of uplinks) await reachBehind(machine.lab, await machine.pfNetdev(pf), mac);
  return { ...made, mac };
}

/** Plugs everything and lets the consumers serve their sockets. Throws what ADD refuses. */
export async function plugAllTypes(plugging: Plugging): Promise<AllTypes> {
  const { machine, forwarder, pod } = plugging;
  const { lab } = machine;
  // Two of these cards on a bridge give each other every broadcast back for ever, and nobody here needs any.
  for (const pf of uplinks) await lab.sh(`ovs-ofctl mod-port br0 ${await machine.pfNetdev(pf)} no-flood`);
  const [near, other] = [await plugNeighbour(plugging, at(1), 0), await plugNeighbour(plugging, at(2), 0)];
  const direct = await pod(kernel, { ...addressed(3), mac: mac(3) });
  const forwarded = await pod(virtio, { mac: mac(4) });
  const all = await pod([virtio, kernel], { mac: mac(7) });
  const interfaceOf = (ifname: string, config: object) => ({
    ...all.call,
    ifname,
    config: { ...(all.call.config as object), ...config },
  });
  const passed = { vnicType: 'direct', driver: 'kernel', resource: kernel };
  const second = interfaceOf('net2', { ...addressed(6), ...passed, name: 'b', mac: mac(6) });
  const third = interfaceOf('net3', { ...normal(at(5), 0), name: 'c', mac: mac(5) });
  for (const call of [direct.call, forwarded.call, all.call, second]) await add(machine, call);
  const [port] = (await add(machine, third)).interfaces;
  await pin(lab, port.name, { mac: mac(5) });
  const [directs, forwardeds] = [await machine.pfNetdev(uplinks[0]), await machine.pfNetdev(uplinks[1])];
  for (const pf of [directs, forwardeds]) await reachBehind(lab, pf, mac(5));
  for (const host of [3, 6]) await pin(lab, directs, { mac: mac(host) });
  for (const host of [4, 7]) await pin(lab, forwardeds, { mac: mac(host) });
  await forwarder.consume(forwarded, mac(4));
  await forwarder.consume(all, mac(7));
  // Consumers answer every ARP request there is, so nobody may have to ask.
  await know(lab, near.netnsName, 'net1', [[2, other.mac], ...[3, 4, 5, 6, 7].map((host) => [host, mac(host)] as const)]);
  for (const [netns, dev] of [
    [other.netnsName, 'net1'],
    [direct.netnsName, 'net1'],
    [all.netnsName, 'net2'],
    [all.netnsName, 'net3'],
  ] as const)
    await know(lab, netns, dev, [[1, near.mac]]);
  const vfOf = (one: LabPod, resource: string) => one.given.find((each) => each.resource === resource)?.ids[0] ?? '';
  return {
    ...{ near, more: [second, third] },
    targets: [
      { pod: other, type: 'normal', address: at(2), vf: '' },
      { pod: direct, type: 'direct', address: at(3), vf: vfOf(direct, kernel) },
      { pod: forwarded, type: 'virtio-forwarder', address: at(4), vf: vfOf(forwarded, virtio) },
      { pod: all, type: 'normal', address: at(5), vf: '' },
      { pod: all, type: 'direct', address: at(6), vf: vfOf(all, kernel) },
      { pod: all, type: 'virtio-forwarder', address: at(7), vf: vfOf(all, virtio) },
    ],
  };
}

async function add({ node }: DirectMachine, call: LabPod['call']): Promise<CniAnswer['json']> {
  const { exit, json, stdout } = await node.cni('ADD', call);
  if (exit !== 0) throw new Error(`ADD of ${call.ifname}: ${stdout}`);
  return json;
}

async function know(
  lab: DirectMachine['lab'],
  netns: string,
  dev: string,
  hosts: readonly (readonly [number, string])[],
): Promise<void> {
  const lines = hosts.map(
    ([host, address]) => `ip -n ${netns} neigh replace ${at(host)} lladdr ${address} dev ${dev} nud permanent`,
  );
  await lab.sh(lines.join('\n'));
}

function at(host: number): string {
  return `10.9.0.${host}`;
}

function mac(host: number): string {
  return `02:00:00:00:03:0${host}`;
}

/** The guest's IPAM plugins know no CNI newer than that. */
function addressed(host: number): object {
  return { cniVersion: '1.0.0', ipam: { type: 'static', addresses: [{ address: `${at(host)}/24` }] } };
}

function normal(address: string, vlan: number): object {
  const ipam = { type: 'static', addresses: [{ address: `${address}/24` }] };
  return { vnicType: 'normal', cniVersion: '1.0.0', vlan, ipam, representor: undefined, resource: undefined };
}
