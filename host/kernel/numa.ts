// Which NUMA nodes share a processor socket. Source: Documentation/ABI/stable/sysfs-devices-node, Documentation/admin-guide/cputopology.rst.
import type { Machine } from '../base/machine.ts';
import { type Report, readOr } from '../base/unread.ts';
import { listDirectory, onHost, readInteger, readText } from './sysfs.ts';

/**
 * For each node all nodes of its socket, itself included. Nodes without a processor, or whose processors tell no socket, are missing; so
 * are those that can't be read, which is reported.
 */
export function readSockets(host: Machine, report: Report): ReadonlyMap<number, readonly number[]> {
  const names = readOr(report, {}, () => listDirectory(onHost(host, '/sys/devices/system/node'))) ?? [];
  const nodes = names.flatMap((name) => {
    const node = /^node(\d+)$/.exec(name)?.[1];
    return node === undefined ? [] : [Number(node)];
  });
  const bySocket = Map.groupBy(
    nodes.sort((a, b) => a - b),
    (node) => readOr(report, {}, () => findSocket(host, node)),
  );
  bySocket.delete(undefined);
  return new Map([...bySocket.values()].flatMap((together) => together.map((node) => [node, together] as const)));
}

/** All processors of a node are on one socket, so the first one is enough. */
function findSocket(host: Machine, node: number): number | undefined {
  const cpu = /^\d+/.exec(readText(onHost(host, `/sys/devices/system/node/node${node}/cpulist`)) ?? '')?.[0]; // `0-7,16-23`
  if (cpu === undefined) return undefined;
  const socket = readInteger(onHost(host, `/sys/devices/system/cpu/cpu${cpu}/topology/physical_package_id`));
  return socket === undefined || socket < 0 ? undefined : socket;
}
