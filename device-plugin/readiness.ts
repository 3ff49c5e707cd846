// Whether the device plugin is alive, and whether it does its work, in words. Pure.
import type { Status } from './plugin.ts';

/** Milliseconds without a finished look after which the plugin counts as stuck: three slow ticks. */
const stuck = 90_000;

/** Why it should be restarted. Empty when it is alive. */
export function livenessProblems({ inventory, deadMounts }: Status, now: number): readonly string[] {
  const age = now - inventory.lookedAt;
  const isStuck = age > stuck && inventory.problem === undefined;
  return [
    ...(isStuck ? [`no look at the machine has ended for ${Math.round(age / 1000)} s`] : []),
    ...deadMounts.map(
      (path) => `${path} was removed on the node and made anew; our container sees the old one until it is started again`,
    ),
  ];
}

/** Why it can't do everything that its configuration asks for. Empty when it can. If the last good configuration is in force, that is enough. */
export function readinessProblems({ config, inventory, kubelet, fileProblems, unread, deadMounts }: Status): readonly string[] {
  const unregistered = kubelet.status.filter((one) => one.state !== 'registered');
  return [
    ...(config.config === undefined ? config.problems : []),
    ...(inventory.nics === undefined || inventory.problem !== undefined
      ? [`the machine could not be looked at: ${inventory.problem ?? 'not yet'}`]
      : []),
    ...unread.map((words) => `${words}; what depends on it is unhealthy or stays as it was`),
    ...unregistered.map(
      (one) => `${one.resource} is not registered with kubelet (${one.state}): ${one.reason ?? 'kubelet has not come yet'}`,
    ),
    ...fileProblems,
    ...deadMounts.map((path) => `${path} was removed on the node and made anew`),
  ];
}
