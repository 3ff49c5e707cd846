// What a network's VF keys mean for one port: whether the port can keep their promises, and what is set on its VF. Pure.
import { show } from '../host/base/explain.ts';
import type { VfChange } from '../host/nic/vf-settings.ts';
import type { VnicType } from '../vnic/index.ts';
import type { NetworkConfig } from './keys.ts';
import { Refusal } from './refusal.ts';
import { promiseKeys } from './vf-keys.ts';

/** @throws Refusal naming key and value when the network promises something that a port of this type can't keep. */
export function requireKeepable(config: NetworkConfig, type: VnicType, needsVf: boolean): void {
  const refuse = (key: keyof NetworkConfig, why: string) => {
    throw new Refusal(`${key}: ${show(config[key])} ${why}`);
  };
  const given = promiseKeys.find((key) => config[key] !== undefined);
  if (!needsVf && given !== undefined) {
    refuse(
      given,
      `can't be had with vnic type ${type}, which has no VF; leave ${given} out, or take "${type}" out of allowedVnicTypes`,
    );
  }
  if (needsVf && config.representor === 'none' && config.trunk !== undefined) {
    refuse('trunk', 'needs a port of the bridge, which "representor": "none" has not; leave one of them out');
  }
}

/** What plug sets on the VF. The VLAN is set here only where no bridge port handles it. */
export function vfSettings(config: NetworkConfig, mac: string): VfChange {
  const { vlan, vlanQos, minTxRate, maxTxRate, trust, spoofchk, linkState, representor } = config;
  return {
    mac,
    ...(representor === 'none' && vlan !== undefined ? { vlan: { id: vlan, qos: vlanQos ?? 0 } } : {}),
    ...(minTxRate !== undefined || maxTxRate !== undefined ? { rate: { min: minTxRate ?? 0, max: maxTxRate ?? 0 } } : {}),
    ...(trust === undefined ? {} : { trust }),
    ...(spoofchk === undefined ? {} : { spoofchk }),
    ...(linkState === undefined ? {} : { linkState }),
  };
}
