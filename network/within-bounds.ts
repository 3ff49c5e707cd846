// Holds a network against the bounds in the node's configuration, by the namespace of the pod. Pure. Whoever may write a network is not thereby
// an admin of the node.
import { show } from '../host/base/explain.ts';
import { type Bounds, type Range, type Rule, rangeOf } from './bounds.ts';
import type { NetworkConfig } from './keys.ts';
import { Refusal } from './refusal.ts';

export interface Bounded {
  readonly config: NetworkConfig;
  /** Empty when the runtime names no pod. Then only a rule for `*` fits. */
  readonly namespace: string;
  /** Whether the port has a VF. */
  readonly reserves: 'vf' | 'slot' | undefined;
}

export interface NodeBounds {
  /** Absent: none, and then only the database is bound. */
  readonly bounds?: Bounds | undefined;
  /** The node's own database. */
  readonly ovsdb: string;
}

/** What a rule says about one value of a network. Undefined: it is within the rule. */
interface Excess {
  readonly key: string;
  readonly value: unknown;
  readonly allowed: string;
}

/** Resolves with the network as it is plugged: a rule may have the hooks run. @throws Refusal that names rule, key and value. */
export function withinBounds({ bounds, ovsdb }: NodeBounds, network: Bounded): NetworkConfig {
  const { config, namespace } = network;
  if (bounds === undefined) {
    if (isOwn(config.ovsdb, ovsdb)) return config;
    throw new Refusal(
      `ovsdb: ${show(config.ovsdb)} is not the database of this node, ${ovsdb}; leave it out, or allow it by a rule in "bounds" of the node's configuration`,
    );
  }
  const at = bounds.findIndex(({ namespaces }) => matches(namespaces, namespace));
  const rule = bounds[at];
  if (rule === undefined) {
    throw new Refusal(
      `bounds: no rule of the node's configuration is for namespace ${show(namespace)}, so its pods may have no network of smartnic; add one`,
    );
  }
  const [excess] = excesses(rule, network, ovsdb);
  if (excess === undefined) return rule.hooks === 'always' ? { ...config, hooks: true } : config;
  const { key, value, allowed } = excess;
  throw new Refusal(
    `${key}: ${show(value)} is not allowed for pods of namespace ${show(namespace)} by rule bounds.${at} (for ${rule.namespaces.join(', ')}) of the ` +
      `node's configuration, which allows ${allowed}`,
  );
}

function excesses(rule: Rule, { config, reserves }: Bounded, ovsdb: string): readonly Excess[] {
  const tagged = config.trunk !== undefined || Boolean(config.vlan);
  const own = (key: keyof NetworkConfig, allowed: string): Excess => ({ key, value: config[key], allowed });
  const checks: readonly (readonly [boolean, () => Excess])[] = [
    [isOwn(config.ovsdb, ovsdb) || rule.ovsdb.includes(config.ovsdb ?? ''), () => own('ovsdb', listed([ovsdb, ...rule.ovsdb]))],
    [matches(rule.bridges, config.bridge), () => own('bridge', listed(rule.bridges))],
    [
      !config.vlan || covers(rule.vlans.map(rangeOf), { first: config.vlan, last: config.vlan }),
      () => own('vlan', listed(rule.vlans)),
    ],
    [
      tagged || rule.untagged,
      () => ({ key: 'vlan', value: config.vlan, allowed: `no untagged network, but ${listed(rule.vlans)}` }),
    ],
    // On its PF's own switch, a VF without a VLAN sends and receives all of them.
    [
      !(reserves === 'vf' && config.representor === 'none' && !config.vlan) || rule.trunks === 'all',
      () => ({ key: 'representor', value: `${config.representor}" without "vlan`, allowed: `VLANs ${listed(rule.vlans)}` }),
    ],
    [trunkFits(rule, config), () => own('trunk', rule.trunks === 'all' ? 'all' : listed(rule.trunks))],
    [
      config.ipam?.type === undefined || matches(rule.ipam, config.ipam.type),
      () => ({ key: 'ipam.type', value: config.ipam?.type, allowed: listed(rule.ipam) }),
    ],
    [
      config.mtu === undefined || (config.mtu >= rule.mtu.min && config.mtu <= rule.mtu.max),
      () => own('mtu', `${rule.mtu.min} to ${rule.mtu.max}`),
    ],
    [!config.createBridge || rule.createBridge, () => own('createBridge', 'only false')],
    [config.trust !== true || rule.trust, () => own('trust', 'only false')],
    [config.spoofchk !== false || rule.spoofchkOff, () => own('spoofchk', 'only true')],
    [config.mac === undefined || rule.mac, () => own('mac', 'no network to name a MAC')],
    [!config.allowPodMac || rule.mac, () => own('allowPodMac', 'only false')],
    [!config.hooks || rule.hooks !== 'never', () => own('hooks', 'only false')],
    ...Object.keys(config.externalIds).map(
      (key) =>
        [matches(rule.externalIds, key), () => ({ key: 'externalIds', value: key, allowed: listed(rule.externalIds) })] as const,
    ),
  ];
  return checks.flatMap(([fits, excess]) => (fits ? [] : [excess()]));
}

function trunkFits({ trunks }: Rule, { trunk }: NetworkConfig): boolean {
  if (trunk === undefined || trunks === 'all') return true;
  if (trunk === 'all') return false;
  const ranges = trunks.map(rangeOf);
  return trunk.every((entry) =>
    covers(ranges, 'id' in entry ? { first: entry.id, last: entry.id } : { first: entry.minID, last: entry.maxID }),
  );
}

/** Whether neighbouring ranges together hold all of `asked`. */
function covers(ranges: readonly Range[], asked: Range): boolean {
  let next = asked.first;
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) if (first <= next && last >= next) next = last + 1;
  return next > asked.last;
}

/** /var/run is a link to /run on every distribution of today. */
function isOwn(asked: string | undefined, ovsdb: string): boolean {
  const plain = (address: string) => address.replace(/^unix:\/var\/run\//, 'unix:/run/');
  return asked === undefined || plain(asked) === plain(ovsdb);
}

function matches(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => fits(pattern.split('*'), name));
}

/** The parts of a pattern between its stars, one after the other. Without going back, so that no pattern takes long. */
function fits(parts: readonly string[], name: string): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at + last.length <= name.length;
}

function listed(values: readonly (string | number)[]): string {
  return values.length === 0 ? 'none' : values.join(', ');
}
