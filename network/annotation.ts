// Which vnic type an interface gets. Pure: from the pod's words and the network's rules follows one type or an error, and never a downgrade.

import { show } from '../host/base/explain.ts';
import { isRecord } from '../host/base/json.ts';
import { defaultType, isVnicType, type VnicType, vnicTypes } from '../vnic/index.ts';
import type { NetworkConfig } from './keys.ts';
import { Refusal } from './refusal.ts';

export const annotationKey = 'smartnic.io/vnic-type';

export interface Choice {
  readonly ifname: string;
  readonly config: Pick<NetworkConfig, 'name' | 'vnicType' | 'allowedVnicTypes' | 'args'>;
  /** The text of the pod's annotation. Absent when the pod has none. */
  readonly annotation: string | undefined;
}

/** args.cni.vnicType > annotation by interface > annotation by network > annotation's single word > the network's vnicType > the default. */
export function chooseVnicType({ ifname, config, annotation }: Choice): VnicType {
  const fromArgs = config.args?.cni?.vnicType;
  const asked = annotation === undefined ? {} : parseAnnotation(annotation);
  const type =
    (fromArgs === undefined ? undefined : checkType(fromArgs, 'args.cni.vnicType')) ??
    (typeof asked === 'string' ? asked : (own(asked, ifname) ?? own(asked, config.name))) ??
    config.vnicType ??
    defaultType;
  if (config.allowedVnicTypes.includes(type)) return type;
  throw new Refusal(
    `vnicType: network "${config.name}" does not allow "${type}" (asked for interface ${ifname}); it allows: ${config.allowedVnicTypes.join(', ')}`,
  );
}

/** Returns one word for all interfaces, or an object from interface or network name to type. @throws Refusal. */
export function parseAnnotation(text: string): VnicType | Readonly<Record<string, VnicType>> {
  const trimmed = text.trim();
  if (isVnicType(trimmed)) return trimmed;
  if (!trimmed.startsWith('{')) throw wrong(`annotation ${annotationKey}`, trimmed, forms);
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch (error) {
    throw new Refusal(`annotation ${annotationKey}: ${show(text)} is not JSON; write ${forms}`, {
      cause: error,
    });
  }
  const types = Object.entries(isRecord(value) ? value : {});
  return Object.fromEntries(types.map(([key, type]) => [key, checkType(type, `annotation ${annotationKey} for ${show(key)}`)]));
}

const words = `one of ${vnicTypes.join(', ')}`;
const forms = `${words}, or a JSON object such as {"net1": "direct"}`;

function checkType(value: unknown, where: string): VnicType {
  if (isVnicType(value)) return value;
  throw wrong(where, value, words);
}

function wrong(where: string, value: unknown, right: string): Refusal {
  return new Refusal(`${where}: unknown vnic type ${show(value)}; write ${right}`);
}

function own(record: Readonly<Record<string, VnicType>>, key: string): VnicType | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
