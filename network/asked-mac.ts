// The MAC that a pod asks for, where its network allows that. Pure.
import { show } from '../host/base/explain.ts';
import type { NetworkConfig } from './keys.ts';
import { Refusal } from './refusal.ts';

/**
 * The MAC that the pod's author asks for: by Multus' `mac` or `cni-args` in the pod's annotation, or by CNI_ARGS.
 * @param fromArgs - the MAC of CNI_ARGS.
 * @throws Refusal where the network does not allow that.
 */
export function askedMac(config: NetworkConfig, fromArgs?: string): string | undefined {
  const asked = [
    ['runtimeConfig.mac', config.runtimeConfig?.mac],
    ['args.cni.mac', config.args?.cni?.mac],
    ['CNI_ARGS: MAC', fromArgs],
  ] as const;
  const [key, mac] = asked.find(([, value]) => value !== undefined) ?? [];
  if (mac === undefined || mac === config.mac || config.allowPodMac) return mac;
  throw new Refusal(
    `${key}: ${show(mac)} is asked for by the pod, but network "${config.name}" chooses the MAC itself; leave it out of the pod's annotation, or set ` +
      '"allowPodMac": true in the network',
  );
}
