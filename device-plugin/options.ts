// Parses the command line of the device plugin. `--help` is written from the same table.
import { parseFlags, requireRun } from '../host/base/flags.ts';
import { type LogLevel, logLevels } from '../host/base/log.ts';
import { type Endpoint, parseEndpoint, withMetricsHost } from '../host/program/http.ts';
import { type Flag, lookFlags, readPrefix } from '../inventory/flags.ts';
import { type Registration, registrations } from './kubelet/kubelet.ts';

const flags = {
  config: lookFlags.config,
  'resource-prefix': lookFlags['resource-prefix'],
  address: { value: 'HOST:PORT', default: '127.0.0.1:9477', help: 'where /metrics, /healthz and /readyz are served' },
  'kubelet-dir': lookFlags['kubelet-dir'],
  registration: { value: registrations.join('|'), default: 'auto', help: 'how kubelet is told of us' },
  'log-level': { value: logLevels.join('|'), default: 'info', help: 'what is logged, as JSON lines on stderr' },
  root: lookFlags.root,
} as const satisfies Readonly<Record<string, Flag>>;

export interface Options {
  readonly help: boolean;
  readonly config: string;
  readonly resourcePrefix: string;
  readonly hostname: string;
  readonly port: number;
  readonly kubeletDir: string;
  readonly registration: Registration;
  readonly logLevel: LogLevel;
  readonly root: string;
}

/** @throws Error that names the word that it does not understand. */
export function parseOptions(args: readonly string[], env: Readonly<Record<string, string | undefined>> = {}): Options {
  const text = (name: keyof typeof flags) => ({ type: 'string', default: flags[name].default }) as const;
  const { values, positionals } = parseFlags({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      config: text('config'),
      'resource-prefix': text('resource-prefix'),
      address: { type: 'string' },
      'kubelet-dir': text('kubelet-dir'),
      registration: text('registration'),
      'log-level': text('log-level'),
      root: text('root'),
    },
  });
  requireRun(positionals);
  const { hostname, port } = readEndpoint(values.address ?? withMetricsHost(flags.address.default, env['SMARTNIC_METRICS_HOST']));
  return {
    ...{ help: values.help, config: values.config, hostname, port, kubeletDir: values['kubelet-dir'], root: values.root },
    resourcePrefix: readPrefix(values['resource-prefix']),
    registration: oneOf('registration', registrations, values.registration),
    logLevel: oneOf('log-level', logLevels, values['log-level']),
  };
}

export function usage(): string {
  const rows = [
    ['  run', 'serve kubelet'] as const,
    ...Object.entries(flags).map(([name, flag]) => [`  --${name} ${flag.value}`, `${flag.help} (${flag.default})`] as const),
  ];
  const lines = rows.map(([left, help]) =>
    left.length < 34 ? `${left.padEnd(35)}${help}` : `${left}\n${' '.repeat(35)}${help}`,
  );
  return [
    'usage: smartnic-device-plugin [run] [flags]',
    '',
    ...lines,
    '',
    'POD_NAMESPACE and POD_NAME name the pod we run in. SMARTNIC_METRICS_HOST is the host of --address where the flag is not given.',
    'Commands for a person: smartnic.mjs --help.',
    '',
  ].join('\n');
}

function readEndpoint(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) throw new Error(`--address: "${text}" is not HOST:PORT; write 127.0.0.1:9477`);
  return endpoint;
}

function oneOf<T extends string>(flag: string, known: readonly T[], text: string): T {
  if (isOneOf(known, text)) return text;
  throw new Error(`--${flag}: "${text}" is not one of ${known.join(', ')}`);
}

function isOneOf<T extends string>(known: readonly T[], text: string): text is T {
  return (known as readonly string[]).includes(text);
}
