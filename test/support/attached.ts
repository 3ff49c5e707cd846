// A pod of a machine test with one interface on a network. Leaves the node as it was when disposed.
import type { TestNetns } from './netns.ts';
import { type CniAnswer, type CniCall, containerId, type TestNode } from './node.ts';

export interface Attached extends AsyncDisposable {
  readonly pod: TestNetns;
  readonly call: CniCall;
  /** What ADD answered. */
  readonly result: CniAnswer['json'];
  /** The bridge's end of the cable, and its OVS port. */
  readonly port: string;
  readonly mac: string;
  /** The addresses of the result, in its order, without prefix lengths; and the first of them. */
  readonly ips: readonly string[];
  readonly ip: string;
  check(): Promise<CniAnswer>;
  del(more?: Partial<CniCall>): Promise<CniAnswer>;
}

export interface AttachOptions extends Partial<Omit<CniCall, 'config'>> {
  /** An existing pod, which then outlives the attachment. */
  readonly in?: TestNetns;
}

/** ADDs `config` to a pod, throwing the words of a failed one. */
export async function attach(node: TestNode, config: object, options: AttachOptions = {}): Promise<Attached> {
  const { in: given, ...more } = options;
  await using undo = new AsyncDisposableStack();
  const pod = given ?? undo.use(await node.pod());
  const call: CniCall = { containerId: containerId(), netns: pod.path, config, ...more };
  const { exit, json, stdout } = await node.cni('ADD', call);
  undo.defer(async () => {
    await node.cni('DEL', call);
  });
  if (exit !== 0) throw new Error(`ADD ended with status ${exit}: ${stdout}`);
  const ips = (json.ips ?? []).map(({ address }: { address: string }) => address.replace(/\/.*/, ''));
  const kept = undo.move();
  return {
    pod,
    call,
    result: json,
    port: json.interfaces.at(-2).name,
    mac: json.interfaces.at(-1).mac,
    ips,
    ip: ips[0] ?? '',
    check: () => node.cni('CHECK', { ...call, config: { ...config, prevResult: json } }),
    del: (changes) => node.cni('DEL', { ...call, ...changes }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
