// The command line of `smartnic COMMAND`, the program for a person. `--help` is written from the same tables.
import { parseFlags } from '../host/base/flags.ts';
import { lookFlags, readPrefix } from '../inventory/flags.ts';

const flags = {
  ...lookFlags,
  'cni-bin': { value: 'DIRECTORY', default: '/opt/cni/bin', help: 'where the runtime looks for executables' },
  'dry-run': { value: '', help: 'only say what would be taken away' },
} as const;
type Flag = keyof typeof flags;

const look = Object.keys(lookFlags) as readonly (keyof typeof lookFlags)[];

const commands = {
  vfs: { operand: '', flags: look, help: 'every VF: where it is, who offers it, who has it, what is wrong with it' },
  explain: { operand: 'PCI-ADDRESS', flags: look, help: 'which selector or guard keeps a VF out of each pool' },
  attachments: { operand: '', flags: [], help: 'every pod interface: where it is plugged, and whether it is well' },
  doctor: {
    operand: '',
    flags: ['config', 'resource-prefix', 'cni-bin'],
    help: 'all that a node needs, and what to do where it lacks something',
  },
  repair: { operand: '', flags: ['dry-run'], help: 'take away what crashes and reboots left' },
} as const satisfies Readonly<
  Record<string, { readonly operand: string; readonly flags: readonly Flag[]; readonly help: string }>
>;
export type Command = keyof typeof commands;

export interface Options {
  readonly command: Command | 'help';
  /** The word after the command. Only `explain` has one. */
  readonly operand: string;
  readonly config: string;
  readonly resourcePrefix: string;
  readonly kubeletDir: string;
  readonly root: string;
  readonly cniBin: string;
  readonly dryRun: boolean;
}

/** @throws Error that names the word it does not understand. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseFlags({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      config: { type: 'string' },
      'resource-prefix': { type: 'string' },
      'kubelet-dir': { type: 'string' },
      root: { type: 'string' },
      'cni-bin': { type: 'string' },
      'dry-run': { type: 'boolean' },
    },
  });
  const { help = false, ...given } = values;
  const [command, operand, ...rest] = positionals;
  const options = {
    operand: operand ?? '',
    config: given.config ?? flags.config.default,
    resourcePrefix: readPrefix(given['resource-prefix'] ?? flags['resource-prefix'].default),
    kubeletDir: given['kubelet-dir'] ?? flags['kubelet-dir'].default,
    root: given.root ?? flags.root.default,
    cniBin: given['cni-bin'] ?? flags['cni-bin'].default,
    dryRun: given['dry-run'] ?? false,
  };
  if (command !== undefined && !isCommand(command))
    throw new Error(`unknown command "${command}"; known are ${Object.keys(commands).join(', ')}`);
  if (help || command === undefined) return { ...options, command: 'help' };
  if (rest.length > 0 || (operand !== undefined && commands[command].operand === ''))
    throw new Error(`${command} does not take "${rest[0] ?? operand}"`);
  for (const flag of Object.keys(given) as Flag[])
    if (!takes(command, flag)) throw new Error(`${command} does not take --${flag}, which is for ${takersOf(flag)}`);
  if (command === 'explain' && operand === undefined)
    throw new Error('explain needs the PCI address of a VF, as `vfs` lists them');
  return { ...options, command };
}

export function usage(): string {
  const row = (left: string, help: string) => `  ${left.padEnd(26)}${help}`;
  const ofCommands = Object.entries(commands).map(([name, { operand, help }]) => row(`${name} ${operand}`, help));
  const ofFlags = [...Map.groupBy(Object.keys(flags) as Flag[], takersOf)].flatMap(([takers, names]) => [
    `flags of ${takers}:`,
    ...names.map((name) => row(`--${name} ${flags[name].value}`, `${flags[name].help}${standardOf(name)}`)),
    '',
  ]);
  const ending = 'SMARTNIC_CONFIG names the configuration of the CNI server (/etc/smartnic/config.yaml).';
  return ['usage: smartnic COMMAND [FLAGS]', '', ...ofCommands, '', ...ofFlags, ending, ''].join('\n');
}

function standardOf(flag: Flag): string {
  return 'default' in flags[flag] ? ` (${flags[flag].default})` : '';
}

function isCommand(text: string): text is Command {
  return Object.hasOwn(commands, text);
}

function takes(command: Command, flag: Flag): boolean {
  return (commands[command].flags as readonly Flag[]).includes(flag);
}

function takersOf(flag: Flag): string {
  const takers = (Object.keys(commands) as Command[]).filter((command) => takes(command, flag));
  return takers.join(' and ');
}
