// Flags of a command line, by Node's parseArgs, with errors for the person who typed them.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from './errors.ts';

/** @throws Error that names the flag; for an unknown flag it lists the known ones. */
export function parseFlags<const T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new Error(inWords(messageOf(error), Object.keys(config.options ?? {})), { cause: error });
  }
}

/** Node's messages end with advice about positional arguments. Only their beginning is useful here. */
function inWords(message: string, known: readonly string[]): string {
  const flag = /'(?:-\w, )?(--?[^\s'=]+)/.exec(message)?.[1];
  if (message.startsWith('Unknown option')) {
    const there = known.map((name) => `--${name}`).join(', ');
    return `unknown flag ${flag}; ${there === '' ? 'there are none' : `there are: ${there}`}`;
  }
  if (/argument missing|is ambiguous/.test(message)) return `${flag} needs a value`;
  if (/does not take an argument/.test(message)) return `${flag} takes no value`;
  return message;
}

/** Of a program that only serves: `run`, or no word. */
export function requireRun([command = 'run', ...rest]: readonly string[]): void {
  if (command !== 'run')
    throw new Error(`unknown command "${command}"; known is run, and smartnic.mjs has the commands for a person`);
  if (rest.length > 0) throw new Error(`run does not take "${rest[0]}"`);
}
