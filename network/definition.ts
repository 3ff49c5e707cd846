// A NetworkAttachmentDefinition: which part of it is ours, and what the CNI server will be given for one interface. Pure.
import { isRecord } from '../host/base/json.ts';
import { type NetworkConfig, parseNetworkConfig } from './keys.ts';
import { checkNetworkName } from './name.ts';
import { Refusal } from './refusal.ts';
import type { Selection } from './selections.ts';
import { isSupported, unsupported, versionWithoutKey } from './versions.ts';

/** The name of our executable, which is the `type` of networks that are ours. */
const pluginType = 'smartnic';

/** The annotation from which Multus learns whose devices it shall hand to the network. */
export const resourceNameKey = 'k8s.v1.cni.cncf.io/resourceName';

export interface Definition {
  readonly namespace: string;
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The text of a CNI configuration or list. Absent where Multus takes it from a file of the node. */
  readonly config?: string | undefined;
}

/** Our part of a configuration: the object itself, or our plugin of a list, with what libcni adds to it. Undefined for what is not ours. */
export function ourPart(text: string | undefined, name: string): Readonly<Record<string, unknown>> | undefined {
  const all = parseRecord(text ?? '');
  if (all === undefined) return undefined;
  if (all['type'] === pluginType) return { ...all, name: all['name'] || name };
  if (all['type'] || !Array.isArray(all['plugins'])) return undefined;
  const plugin: unknown = all['plugins'].find((each: unknown) => isRecord(each) && each['type'] === pluginType);
  if (!isRecord(plugin)) return undefined;
  return { ...plugin, name: all['name'] || name, cniVersion: all['cniVersion'] };
}

/** As the runtime will read it before it reads anything of a pod. @throws Refusal with the words of the CNI server. */
export function parseDefinition(part: Readonly<Record<string, unknown>>): NetworkConfig {
  checkNetworkName(part['name']);
  const version = String(part['cniVersion'] || versionWithoutKey);
  if (!isSupported(version)) throw new Refusal(`cniVersion: incompatible CNI versions: ${unsupported(version)}`);
  return parseNetworkConfig(part, { lenient: false });
}

/** With what Multus adds for one interface of a pod: `cni-args` key by key, and the MAC where the network has that capability. */
export function withSelection(
  part: Readonly<Record<string, unknown>>,
  { cniArgs, mac }: Pick<Selection, 'cniArgs' | 'mac'>,
): Readonly<Record<string, unknown>> {
  const args = isRecord(part['args']) ? part['args'] : {};
  const cni = isRecord(args['cni']) ? args['cni'] : {};
  const capabilities = isRecord(part['capabilities']) ? part['capabilities'] : {};
  const runtimeConfig = isRecord(part['runtimeConfig']) ? part['runtimeConfig'] : {};
  return {
    ...part,
    ...(Object.keys(cniArgs).length === 0 ? {} : { args: { ...args, cni: { ...cni, ...cniArgs } } }),
    ...(mac !== undefined && capabilities['mac'] === true ? { runtimeConfig: { ...runtimeConfig, mac } } : {}),
  };
}

function parseRecord(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
