// Which networks a pod asks for: Multus' annotations, read as Multus 4 reads them. Pure. What Multus refuses is refused here, in our words.
// Source: NPWG's multi-network standard 1.3, and what Multus does where that leaves it open.
import { z } from 'zod';
import { messageOf } from '../host/base/errors.ts';
import { explain, show } from '../host/base/explain.ts';
import { Refusal } from './refusal.ts';

const networksKey = 'k8s.v1.cni.cncf.io/networks';
export const defaultNetworkKey = 'v1.multus-cni.io/default-network';
/** Where Multus looks for a pod's own default network, unless the annotation or its own configuration names another namespace. */
const multusNamespace = 'kube-system';

export interface Selection {
  readonly namespace: string;
  readonly name: string;
  readonly ifname: string;
  /** Becomes `args.cni` of the network's configuration. */
  readonly cniArgs: Readonly<Record<string, unknown>>;
  readonly mac?: string;
  /** Written by the pod's author. Multus writes its own only where the author wrote none. */
  readonly deviceID?: string;
}

/** The pod's interfaces in the order in which Multus plugs them. @throws Refusal. */
export function selectionsOf(annotations: Readonly<Record<string, string>>, podNamespace: string): readonly Selection[] {
  const main = annotations[defaultNetworkKey];
  const further = annotations[networksKey];
  const first = main === undefined ? [] : parseSelections(defaultNetworkKey, main, multusNamespace);
  if (main !== undefined && first.length !== 1) {
    throw new Refusal(
      `annotation ${defaultNetworkKey}: ${show(main)} names ${first.length} networks; a pod has one default network`,
    );
  }
  return [
    ...first.map((each) => ({ ...each, ifname: 'eth0' })),
    // Multus counts all of its networks, also those with a name of their own for the interface.
    ...(further ? parseSelections(networksKey, further, podNamespace) : []).map((each, at) => ({
      ...each,
      ifname: each.ifname || `net${at + 1}`,
    })),
  ];
}

function parseSelections(key: string, text: string, namespace: string): readonly Selection[] {
  const refuse = (why: string, cause?: unknown) => new Refusal(`annotation ${key}: ${why}`, { cause });
  if (!/[[{"]/.test(text)) return text.split(',').map((item) => parseItem(item.trim(), namespace, refuse));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(`${show(text)} is not JSON: ${messageOf(error)}; write ${forms}`, error);
  }
  const parsed = z.array(element).safeParse(value);
  if (!parsed.success) throw refuse(`${explain(parsed.error, value)}; write ${forms}`);
  return parsed.data.map((each) => ({
    namespace: each.namespace || namespace,
    name: each.name,
    ifname: each.interface || each.interfaceRequest || '',
    cniArgs: each['cni-args'] ?? {},
    ...(each.mac ? { mac: each.mac } : {}),
    ...(each.deviceID ? { deviceID: each.deviceID } : {}),
  }));
}

const element = z.looseObject({
  name: z.string().min(1),
  namespace: z.string().nullish(),
  interface: z.string().nullish(),
  /** The same key before the standard was written down. */
  interfaceRequest: z.string().nullish(),
  mac: z.string().nullish(),
  deviceID: z.string().nullish(),
  'cni-args': z.record(z.string(), z.unknown()).nullish(),
});

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** `[namespace/]name[@interface]` */
function parseItem(item: string, namespace: string, refuse: (why: string) => Refusal): Selection {
  const [own = '', rest = own, ...more] = item.split('/').map((part) => part.trim());
  const [name = '', ifname = '', ...evenMore] = rest.split('@').map((part) => part.trim());
  const inNamespace = item.includes('/') ? own : namespace;
  const words = label.test(name) && (label.test(inNamespace) || inNamespace === '');
  if (!words || more.length > 0 || evenMore.length > 0 || ifname.length > 15 || /[\s/]/.test(ifname))
    throw refuse(`${show(item)} is not of the form [NAMESPACE/]NAME[@INTERFACE]; write ${forms}`);
  return { namespace: inNamespace || namespace, name, ifname, cniArgs: {} };
}

const forms = 'tenant-a@net1, tenant-b@net2 or [{"name": "tenant-a", "interface": "net1"}]';
