// The node's configuration, key by key: YAML in which every key is optional. Pure. settings-file.ts has the file.

import { hostname } from 'node:os';
import { z } from 'zod';
import { ConfigError } from '../../host/base/config-error.ts';
import { logLevels } from '../../host/base/log.ts';
import { type KeysAt, openPositions } from '../../host/base/positions.ts';
import { forwarderKeys, forwarderShape } from '../../host/forwarder/settings.ts';
import { ovsdbAddress } from '../../host/ovs/address.ts';
import { parseEndpoint, withMetricsHost } from '../../host/program/http.ts';
import { boundsShape, ruleKeys } from '../../network/bounds.ts';

const absolute = z.string().regex(/^\//, 'is not an absolute path');
const seconds = z.number().positive().max(110);

const ovsdbTls = z.strictObject({ key: absolute, cert: absolute, ca: absolute });
const kubernetes = z.strictObject({
  /** The path of a kubeconfig. Absent in a pod, which uses its service account. */
  kubeconfig: absolute.optional(),
  /** Read no pods at all, even if there is a service account. */
  disabled: z.boolean().default(false),
});
const sections = { ovsdbTls: Object.keys(ovsdbTls.shape), kubernetes: Object.keys(kubernetes.shape) };

const defaultMetrics = '127.0.0.1:9478';

const shape = z.strictObject({
  /** The socket on which the runtime's executable finds us. Its directory gets mode 0700. */
  socket: absolute.default('/run/smartnic/cni.sock'),
  stateDir: absolute.default('/var/lib/smartnic'),
  /** For networks that name no database. */
  ovsdb: ovsdbAddress.default('unix:/var/run/openvswitch/db.sock'),
  /** TLS files for addresses that begin with ssl:. */
  ovsdbTls: ovsdbTls.optional(),
  /** This node's name in the cluster. */
  nodeName: z.string().min(1).optional(),
  kubernetes: kubernetes.default({ disabled: false }),
  /** Seconds that an IPAM plugin may take for one command. */
  ipamTimeout: seconds.default(30),
  /** Seconds that ovs-vswitchd may take to make a port. */
  portTimeout: seconds.default(10),
  /** Seconds after which a pod that neither the API server nor kubelet knows counts as gone, even if no DEL came. */
  lostPodAfter: z.number().positive().max(86_400).default(300),
  /** Kubelet's own directory. Its sockets there tell which pod has which device. */
  kubeletDir: absolute.default('/var/lib/kubelet'),
  /** The directory of the executables for networks that say `hooks: true`; docs/hooks.md. */
  hookDir: absolute.default('/etc/smartnic/hooks.d'),
  /** Seconds that a hook may take. */
  hookTimeout: seconds.default(10),
  /** Give VFs to pods even where no IOMMU keeps them from the machine's memory. For tests, and for clusters that trust every pod. */
  allowNoiommu: z.boolean().default(false),
  /** What the networks of a namespace's pods may ask for. Absent: everything on the node's own OVSDB. */
  bounds: boundsShape.optional(),
  /** The forwarder that relays the sockets of virtio-forwarder ports. Absent when this node has none. */
  forwarder: forwarderShape.optional(),
  /** Where /metrics, /healthz and /readyz are served (SMARTNIC_METRICS, SMARTNIC_METRICS_HOST). `off`: nowhere. */
  metrics: z
    .string()
    .refine((text) => text === 'off' || parseEndpoint(text) !== undefined, 'is not HOST:PORT; write 127.0.0.1:9478, or off')
    .default(defaultMetrics),
  /** Plug nothing new: ADD and STATUS fail, and everything else is served. Used while smartnic is removed from a node (SMARTNIC_DRAINING=true). */
  draining: z.boolean().default(false),
  /** Wait until another server with the same state ends, instead of refusing to start. Used by an upgrade's new server (SMARTNIC_STANDBY=true). */
  standby: z.boolean().default(false),
  logLevel: z.enum(logLevels).default('info'),
});

export type Settings = Readonly<z.output<typeof shape>> & { readonly nodeName: string };

/** The keys that a running server takes over. All others need a restart: they name what it has opened. */
export const liveKeys = [
  'ipamTimeout',
  'portTimeout',
  'lostPodAfter',
  'kubeletDir',
  'hookDir',
  'hookTimeout',
  'allowNoiommu',
  'bounds',
  'draining',
  'logLevel',
] as const satisfies readonly (keyof Settings)[];

export type Variables = Readonly<Record<string, string | undefined>>;

/** The settings that the file asks for. The environment comes before the file. @throws ConfigError naming a bad variable. */
export function withVariables(settings: ParsedSettings, env: Variables): Settings {
  return {
    ...settings,
    socket: env['SMARTNIC_SOCKET'] ?? settings.socket,
    stateDir: env['SMARTNIC_STATE_DIR'] ?? settings.stateDir,
    metrics: metricsOf(env, settings.metrics),
    draining: env['SMARTNIC_DRAINING'] === 'true' || settings.draining,
    standby: env['SMARTNIC_STANDBY'] === 'true' || settings.standby,
    nodeName: settings.nodeName ?? env['NODE_NAME'] ?? hostname(),
  };
}

/** Whoever wrote an address has it. Only the default takes another host. */
function metricsOf({ SMARTNIC_METRICS: metrics, SMARTNIC_METRICS_HOST: host }: Variables, written: string): string {
  if (metrics) return parseSettings(JSON.stringify({ metrics }), 'SMARTNIC_METRICS').metrics;
  return written === defaultMetrics ? withMetricsHost(written, host) : written;
}

export type ParsedSettings = z.output<typeof shape>;

/** @throws ConfigError with one line for each bad key: file, line, key, value and what is allowed. */
export function parseSettings(text: string, path: string): ParsedSettings {
  const positions = openPositions(path, text);
  const value = positions.value();
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ConfigError(parsed.error.issues.map((issue) => positions.explain(issue, value, keysAt(value))));
}

function keysAt(value: unknown): KeysAt {
  const known: Readonly<Record<string, readonly string[]>> = {
    ...{ '': Object.keys(shape.shape), ...sections, forwarder: forwarderKeys(value) },
  };
  return (path) => (path[0] === 'bounds' ? ruleKeys : (known[path.map(String).join('.')] ?? []));
}
