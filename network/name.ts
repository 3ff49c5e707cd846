// The name of a network, as Go's skel takes it (SPEC section 1).
import { Refusal } from './refusal.ts';

export const identifier = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** @throws Refusal for a name that is absent or has other characters. */
export function checkNetworkName(name: unknown): asserts name is string {
  if (name === undefined || name === '') throw new Refusal('missing network name: the key "name" is absent');
  if (typeof name === 'string' && identifier.test(name)) return;
  throw new Refusal(`name: invalid network name ${JSON.stringify(name)}; allowed are a-z A-Z 0-9 _ . -`);
}
