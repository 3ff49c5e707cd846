// The command line of the CNI server.
import { parseFlags, requireRun } from '../host/base/flags.ts';

/** @throws Error that names the word it does not understand. */
export function parseOptions(args: readonly string[]): { readonly help: boolean } {
  const options = { help: { type: 'boolean', short: 'h', default: false } } as const;
  const { values, positionals } = parseFlags({ args: [...args], allowPositionals: true, options });
  requireRun(positionals);
  return values;
}

export const usage = `usage: smartnic-cni [run]

  run     serve the container runtime

SMARTNIC_CONFIG names the configuration (/etc/smartnic/config.yaml).
Commands for a person: smartnic.mjs --help.
`;
