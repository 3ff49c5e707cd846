// The command line of the admission server.
import { parseFlags, requireRun } from '../host/base/flags.ts';
import { type LogLevel, logLevels } from '../host/base/log.ts';
import { type Endpoint, parseEndpoint } from '../host/program/http.ts';

interface Flag {
  readonly value: string;
  readonly default: string;
  readonly help: string;
}

const flags = {
  address: { value: 'HOST:PORT', default: ':8443', help: 'where API servers call' },
  metrics: { value: 'HOST:PORT', default: '127.0.0.1:9479', help: 'where /metrics, /healthz and /readyz are served' },
  name: { value: 'NAME', default: 'smartnic-admission', help: 'of Service, Secret, Lease and webhook configurations' },
  config: { value: 'FILE', default: '/etc/smartnic/pools.yaml', help: 'the pools, to warn of what none offers' },
  'main-network': {
    value: 'FILE',
    default: '/etc/smartnic-network/smartnic.conflist',
    help: 'the main network, where it is ours',
  },
  certificate: {
    value: 'DIR',
    default: '',
    help: 'with tls.crt and tls.key of somebody else; empty: made and renewed by itself',
  },
  'api-server': { value: 'URL', default: '', help: "empty: the pod's own" },
  credentials: { value: 'DIR', default: '', help: 'with token and ca.crt, for --api-server' },
  'log-level': { value: logLevels.join('|'), default: 'info', help: 'what is logged, as JSON lines on stderr' },
} as const satisfies Readonly<Record<string, Flag>>;

export interface Options {
  readonly help: boolean;
  readonly address: Endpoint;
  readonly metrics: Endpoint;
  readonly name: string;
  readonly config: string;
  readonly mainNetwork: string;
  readonly certificate: string | undefined;
  readonly apiServer: string | undefined;
  readonly credentials: string;
  readonly logLevel: LogLevel;
}

/** @throws Error that names the word that it does not understand. */
export function parseOptions(args: readonly string[]): Options {
  const text = (name: keyof typeof flags) => ({ type: 'string', default: flags[name].default }) as const;
  const { values, positionals } = parseFlags({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      ...{ address: text('address'), metrics: text('metrics'), name: text('name'), config: text('config') },
      ...{ 'main-network': text('main-network'), certificate: text('certificate'), 'api-server': text('api-server') },
      credentials: text('credentials'),
      'log-level': text('log-level'),
    },
  });
  requireRun(positionals);
  const logLevel = logLevels.find((each) => each === values['log-level']);
  if (logLevel === undefined) throw new Error(`--log-level: "${values['log-level']}" is not one of ${logLevels.join(', ')}`);
  return {
    ...{ help: values.help, name: values.name, config: values.config, mainNetwork: values['main-network'], logLevel },
    ...{ address: endpoint('address', values.address), metrics: endpoint('metrics', values.metrics) },
    ...{
      certificate: values.certificate || undefined,
      apiServer: values['api-server'] || undefined,
      credentials: values.credentials,
    },
  };
}

export function usage(): string {
  const rows = Object.entries(flags).map(
    ([name, { value, default: usual, help }]) => `  --${name} ${value}\n${' '.repeat(35)}${help} (${usual})`,
  );
  return [
    'usage: smartnic-admission [run] [flags]',
    '',
    ...rows,
    '',
    'POD_NAMESPACE and POD_NAME name the pod we run in.',
    '',
  ].join('\n');
}

function endpoint(flag: string, text: string): Endpoint {
  const found = parseEndpoint(text);
  if (found === undefined) throw new Error(`--${flag}: "${text}" is not HOST:PORT; write 127.0.0.1:9479`);
  return found;
}
