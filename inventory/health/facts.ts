// Looks up what health depends on besides the VFs: the CNI server's markers, the pools' bridges, the pools' forwarders.
import { readOr, type Unread } from '../../host/base/unread.ts';
import { whyUnanswered } from '../../host/files/unix-client.ts';
import { readForwarderTrouble } from '../../host/forwarder/health-marker.ts';
import type { Host } from '../../host/host.ts';
import { existsOnHost, onHost } from '../../host/kernel/sysfs.ts';
import { readQuarantine } from '../../host/nic/quarantine.ts';
import type { Pool } from '../config/pool.ts';
import type { Facts } from './reasons.ts';

/** @param forwardersDown - from probeForwarders. @param before - the last facts; they are used for what can't be looked up now. */
export function readFacts(
  host: Pick<Host, 'root'>,
  pools: readonly Pool[],
  forwardersDown: Facts['forwardersDown'],
  before?: Facts,
): Facts {
  const unread: string[] = [];
  const report = ({ words }: Unread) => void unread.push(words);
  const bridges = pools.flatMap((pool) => pool.bridge ?? []);
  const forwarderTrouble = readOr(report, {}, () => readForwarderTrouble(host) ?? '') ?? `${unread.at(-1)}`;
  return {
    ...(forwarderTrouble !== '' && { forwarderTrouble }),
    quarantined: readOr(report, {}, () => readQuarantine(host, report)) ?? before?.quarantined ?? new Map(),
    // Each bridge of Open vSwitch has a netdev of its name, on the kernel's and on a userspace datapath. So has a Linux bridge.
    bridges: new Set(bridges.filter((bridge) => existsOnHost(onHost(host, `/sys/class/net/${bridge}`)))),
    forwardersDown,
    unread,
  };
}

/** Resolves with the sockets on which nobody answers, by their path in the pools, each with the reason. */
export async function probeForwarders(host: Pick<Host, 'root'>, pools: readonly Pool[]): Promise<Facts['forwardersDown']> {
  const paths = [...new Set(pools.flatMap((pool) => pool.forwarder ?? []))];
  const answers = await Promise.all(paths.map(async (path) => [path, await whyDown(onHost(host, path))] as const));
  return new Map(answers.flatMap(([path, why]) => (why === undefined ? [] : [[path, why] as const])));
}

/** Undefined when somebody accepts connections on the socket. */
async function whyDown(path: string): Promise<string | undefined> {
  const why = await whyUnanswered(path);
  return why?.code === 'ETIMEDOUT' ? why.message : why && `cannot connect to ${path}: ${why.message}; is the forwarder running?`;
}
