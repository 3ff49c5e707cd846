// The command line of the CNI server and its commands for a person. Text to record; `--help` is written from the same table.
import { parseFlags } from '../host/base/flags.ts';

const commands = {
  run: 'serve the container runtime (the default)',
  attachments: 'show every pod interface of this node: where it is plugged, and whether it is well',
  doctor: 'look at all that this node needs, and say what to do where it lacks something',
  repair: 'take away what crashes and reboots left, now; --dry-run: only say what that would be',
} as const;
export type Command = keyof typeof commands;

export interface Options {
  readonly command: Command;
  readonly help: boolean;
  readonly dryRun: boolean;
  readonly cniBin: string;
}

/** @throws Error that names the word it does not understand. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseFlags({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      'dry-run': { type: 'boolean', default: false },
      'cni-bin': { type: 'string', default: '/opt/cni/bin' },
    },
  });
  const [command = 'run', ...rest] = positionals;
  if (!Object.hasOwn(commands, command))
    throw new Error(`unknown command "${command}"; known are ${Object.keys(commands).join(', ')}`);
  if (rest.length > 0) throw new Error(`${command} does not take "${rest[0]}"`);
  if (values['dry-run'] && command !== 'repair') throw new Error(`${command} does not take --dry-run; repair does`);
  return { command: command as Command, help: values.help, dryRun: values['dry-run'], cniBin: values['cni-bin'] };
}

export function usage(): string {
  return [
    'usage: smartnic-cni [command] [flags]',
    '',
    ...Object.entries(commands).map(([name, help]) => `  ${name.padEnd(24)}${help}`),
    `  ${'--cni-bin DIRECTORY'.padEnd(24)}doctor: where the runtime looks for executables (/opt/cni/bin)`,
    '',
    'SMARTNIC_CONFIG names the configuration (/etc/smartnic/config.yaml).',
    '',
  ].join('\n');
}
