// The init container: puts the executable into the runtime's folder, and as the main network the network's configuration as well.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../host/errors.ts';
import { putFile } from './put-file.ts';

const usage = `usage: smartnic-install install --bin-dir DIRECTORY [--conflist FILE --conf-dir DIRECTORY]
`;

/** In the image. */
const executable = join(import.meta.dirname, 'smartnic');

function main(args: readonly string[]): void {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      'bin-dir': { type: 'string' },
      conflist: { type: 'string' },
      'conf-dir': { type: 'string' },
    },
  });
  if (values.help) return void process.stdout.write(usage);
  const [command, ...rest] = positionals;
  if (command !== 'install' || rest.length > 0) throw new Error(`unknown command "${positionals.join(' ')}"; ${usage}`);
  const { 'bin-dir': binDir, conflist, 'conf-dir': confDir } = values;
  if (binDir === undefined) throw new Error('install needs --bin-dir, the folder where the runtime looks for executables');
  if ((conflist === undefined) !== (confDir === undefined)) throw new Error('--conflist and --conf-dir go together');
  say(putFile({ from: executable, folder: binDir, name: 'smartnic', mode: 0o755 }));
  // Last: a runtime that finds it begins to call the executable.
  if (conflist !== undefined && confDir !== undefined)
    say(putFile({ from: conflist, folder: confDir, name: '10-smartnic.conflist', mode: 0o644 }));
}

function say(text: string): void {
  process.stderr.write(`${JSON.stringify({ level: 30, time: Date.now(), msg: text })}\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`smartnic-install: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
