// What a person is told about a NetworkAttachmentDefinition, and what is filled in. Pure.
import { isRecord } from '../../host/base/json.ts';
import { type Definition, ourPart, resourceNameKey } from '../../network/definition.ts';
import { resourceOf } from '../../network/device.ts';
import type { NetworkConfig } from '../../network/keys.ts';
import { Refusal } from '../../network/refusal.ts';
import { isOffered, type VnicType } from '../../vnic/index.ts';
import type { World } from './interfaces.ts';
import type { Verdict } from './judge.ts';
import { readDefinition } from './read.ts';
import type { Operation } from './reserve.ts';

/** The annotation that Multus needs follows from the configuration, where only one resource comes into question. */
export function mutateDefinition(definition: Definition): readonly Operation[] {
  const config = readDefinition(definition);
  if (config === undefined || config instanceof Refusal || definition.annotations[resourceNameKey] !== undefined) return [];
  const [resource, ...others] = resourcesOf(config, config.vnicType === undefined ? config.allowedVnicTypes : [config.vnicType]);
  if (resource === undefined || others.length > 0) return [];
  if (Object.keys(definition.annotations).length === 0)
    return [{ op: 'add', path: '/metadata/annotations', value: { [resourceNameKey]: resource } }];
  return [{ op: 'add', path: `/metadata/annotations/${resourceNameKey.replaceAll('/', '~1')}`, value: resource }];
}

/** @param before - the definition that an update replaces. What was wrong already must not keep anybody from a label or a finalizer. */
export function judgeDefinition(definition: Definition, { offered }: Pick<World, 'offered'>, before?: Definition): Verdict {
  const config = readDefinition(definition);
  if (config === undefined) return { warnings: [] };
  const refusal = config instanceof Refusal ? config.message : (byHand(definition) ?? otherResource(definition, config));
  const asBefore =
    before?.config === definition.config && before?.annotations[resourceNameKey] === definition.annotations[resourceNameKey];
  if (refusal !== undefined) return asBefore ? { warnings: [refusal] } : { warnings: [], refusal };
  return { warnings: config instanceof Refusal ? [] : [...useless(definition, config), ...notOffered(config, offered)] };
}

/** The resources that its interfaces of these types take, each once. */
function resourcesOf(config: NetworkConfig, types: readonly VnicType[]): readonly string[] {
  return [...new Set(types.filter(isOffered).map((type) => resourceOf(config, type)))];
}

function byHand({ config, name }: Definition): string | undefined {
  const part = ourPart(config, name);
  const runtimeConfig = part?.['runtimeConfig'];
  const id = part?.['deviceID'] ?? (isRecord(runtimeConfig) ? runtimeConfig['deviceID'] : undefined);
  return id === undefined
    ? undefined
    : `deviceID: "${id}" is written by hand; leave deviceID to Multus, a network must not set it itself`;
}

function otherResource({ annotations }: Definition, config: NetworkConfig): string | undefined {
  const handsOut = annotations[resourceNameKey];
  const takes = resourcesOf(config, config.allowedVnicTypes);
  if (handsOut === undefined || takes.length === 0 || takes.includes(handsOut)) return undefined;
  const key = config.resource === undefined ? 'the key "resource", which is absent,' : 'the key "resource"';
  return (
    `annotation ${resourceNameKey}: is "${handsOut}", but the network takes ${takes.join(' or ')}; ` +
    `set ${key} and the annotation to the same name`
  );
}

function useless({ annotations }: Definition, { allowedVnicTypes }: NetworkConfig): readonly string[] {
  if (annotations[resourceNameKey] === undefined || allowedVnicTypes.some(isOffered)) return [];
  return [`annotation ${resourceNameKey}: is of no use, because the network allows only ${allowedVnicTypes.join(', ')}`];
}

function notOffered(config: NetworkConfig, offered: World['offered']): readonly string[] {
  if (offered === undefined) return [];
  const types = config.vnicType === undefined ? [] : [config.vnicType];
  return resourcesOf(config, config.resource === undefined ? types : config.allowedVnicTypes)
    .filter((resource) => !offered.has(resource))
    .map((resource) => `no pool offers ${resource}, which this network takes; its pods stay Pending until pools.yaml has it`);
}
