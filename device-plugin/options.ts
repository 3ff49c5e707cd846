// The command line of the device plugin and its commands for a person. Text to record; `--help` is written from the same table.
import { parseFlags } from '../host/base/flags.ts';
import { type LogLevel, logLevels } from '../host/base/log.ts';
import { type Endpoint, parseEndpoint } from '../host/program/http.ts';
import { type Registration, registrations } from './kubelet/kubelet.ts';

const commands = {
  run: 'serve kubelet (the default)',
  vfs: 'show every VF of this machine: where it is, who offers it, why not',
  explain: 'explain PCI-ADDRESS: which selector or guard keeps a VF out of each pool',
} as const;
export type Command = keyof typeof commands;

interface Flag {
  readonly value: string;
  readonly default: string;
  readonly help: string;
}

const flags = {
  config: { value: 'FILE', default: '/etc/smartnic/pools.yaml', help: "the pools, or the SR-IOV device plugin's config.json" },
  address: { value: 'HOST:PORT', default: '127.0.0.1:9477', help: 'where /metrics, /healthz and /readyz are served' },
  'kubelet-dir': { value: 'DIRECTORY', default: '/var/lib/kubelet', help: "kubelet's root directory" },
  registration: { value: registrations.join('|'), default: 'auto', help: 'how kubelet is told of us' },
  'log-level': { value: logLevels.join('|'), default: 'info', help: 'what is logged, as JSON lines on stderr' },
  root: { value: 'DIRECTORY', default: '/', help: "where the machine's file system is mounted" },
} as const satisfies Readonly<Record<string, Flag>>;

export interface Options {
  readonly command: Command;
  /** What follows the command. */
  readonly operand: string | undefined;
  readonly help: boolean;
  readonly config: string;
  readonly hostname: string;
  readonly port: number;
  readonly kubeletDir: string;
  readonly registration: Registration;
  readonly logLevel: LogLevel;
  readonly root: string;
}

/** @throws Error that names the word it does not understand. */
export function parseOptions(args: readonly string[]): Options {
  const text = (name: keyof typeof flags) => ({ type: 'string', default: flags[name].default }) as const;
  const { values, positionals } = parseFlags({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      config: text('config'),
      address: text('address'),
      'kubelet-dir': text('kubelet-dir'),
      registration: text('registration'),
      'log-level': text('log-level'),
      root: text('root'),
    },
  });
  const [command = 'run', operand, ...rest] = positionals;
  if (!isOneOf(Object.keys(commands) as Command[], command))
    throw new Error(`unknown command "${command}"; known are ${Object.keys(commands).join(', ')}`);
  if (rest.length > 0 || (operand !== undefined && command !== 'explain'))
    throw new Error(`${command} does not take "${rest[0] ?? operand}"`);
  if (operand === undefined && command === 'explain' && !values.help)
    throw new Error('explain needs the PCI address of a VF, as `vfs` lists them');
  const { hostname, port } = readEndpoint(values.address);
  return {
    ...{
      command,
      operand,
      help: values.help,
      config: values.config,
      hostname,
      port,
      kubeletDir: values['kubelet-dir'],
      root: values.root,
    },
    registration: oneOf('registration', registrations, values.registration),
    logLevel: oneOf('log-level', logLevels, values['log-level']),
  };
}

export function usage(): string {
  const rows = [
    ...Object.entries(commands).map(([name, help]) => [`  ${name}`, help] as const),
    ...Object.entries(flags).map(([name, flag]) => [`  --${name} ${flag.value}`, `${flag.help} (${flag.default})`] as const),
  ];
  const lines = rows.map(([left, help]) =>
    left.length < 34 ? `${left.padEnd(35)}${help}` : `${left}\n${' '.repeat(35)}${help}`,
  );
  return [
    'usage: smartnic-device-plugin [command] [flags]',
    '',
    ...lines,
    '',
    'POD_NAMESPACE and POD_NAME name the pod we run in.',
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
