// What hooks are told about an attachment, and when they are called. host/program/hooks.ts runs them. docs/hooks.md is their contract.

import type { VfPlace } from '../../host/nic/vf-place.ts';
import { runHooks } from '../../host/program/hooks.ts';
import { CniError, codes } from '../protocol/errors.ts';
import type { Attachment } from './attachment.ts';
import type { Context } from './context.ts';

type Told = Pick<Context, 'host' | 'settings'>;

/** Does nothing unless the network says `hooks: true`. @throws Error with the words of the hook that failed. */
export async function callHooks(
  { host, settings }: Told,
  event: 'before-plug' | 'after-plug' | 'before-unplug' | 'after-unplug',
  attachment: Attachment,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  if (attachment.hooks !== true) return;
  const input = { ...describe(attachment), ...describeVf(attachment), ...more };
  await runHooks(host, { directory: settings.hookDir, timeout: settings.hookTimeout * 1000, event, input });
  host.step(`${event} hooks done`);
}

/** Resolves with the netdev's name, as the first hook prints it that prints anything. */
export async function askRepresentor({ host, settings }: Told, attachment: Attachment, { vf, pf }: VfPlace): Promise<string> {
  const input = { ...describe(attachment), vf: { address: vf.address, pf, index: vf.index } };
  const printed = await runHooks(host, {
    directory: settings.hookDir,
    timeout: settings.hookTimeout * 1000,
    event: 'representor',
    input,
  });
  const name = printed.find((text) => text !== '');
  if (name === undefined) {
    throw new CniError(
      codes.invalidConfig,
      `representor: "hook": no hook in ${settings.hookDir} printed the representor of VF ${vf.index} of PF ${pf} (${vf.address})`,
    );
  }
  if (/^[^\s/:]{1,15}$/.test(name)) return name;
  throw new CniError(
    codes.plugFailed,
    `representor: "hook": a hook printed ${JSON.stringify(name.slice(0, 100))}, which is no netdev's name`,
  );
}

function describeVf({ reserved }: Attachment) {
  if (reserved?.kind !== 'vf') return {};
  const { id: address, pf, index, driver, representor } = reserved;
  return { vf: { address, pf, index, driver, representor } };
}

function describe({ id, network, containerId, ifname, netns, vnicType, bridge, bridgePort, pod }: Attachment) {
  const { podNamespace, podName, podUid } = pod;
  return {
    attachment: { id, network, containerId, ifname, netns, vnicType, bridge, bridgePort },
    pod: { namespace: podNamespace, name: podName, uid: podUid },
  };
}
