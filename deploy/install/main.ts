// Installs smartnic on a node, for the init container, and removes it, for the container of components/uninstall.
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { parseFlags } from '../../host/base/flags.ts';
import { listenForEnd } from '../../host/program/end-signals.ts';
import { leftovers } from './leftovers.ts';
import { putFile } from './put-file.ts';
import { uninstall } from './uninstall.ts';

const usage = `usage: smartnic-install COMMAND

  install --bin-dir DIRECTORY  put the executable where the runtime looks for it
  uninstall --root DIRECTORY   wait for the last pod to leave, then remove all that is ours; goes on until it is ended
  left --root DIRECTORY        list what is ours on the node; status 1 if there is anything
`;

/** The executable's path in the image. */
const executable = join(import.meta.dirname, 'smartnic');

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseFlags({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      'bin-dir': { type: 'string' },
      root: { type: 'string' },
    },
  });
  if (values.help) return void process.stdout.write(usage);
  const [command, ...rest] = positionals;
  if (rest.length > 0) throw new Error(`${command} does not take "${rest[0]}"`);
  if (command === 'install') return await install(values);
  if (command !== 'uninstall' && command !== 'left') throw new Error(`unknown command "${command ?? ''}"\n${usage}`);
  if (values.root === undefined)
    throw new Error(`${command} needs --root, the folder below which the node's folders are mounted`);
  if (command === 'uninstall') await uninstall(values.root, say);
  const left = leftovers(values.root);
  process.stdout.write(left.map((path) => `${path}\n`).join(''));
  if (left.length > 0) process.exitCode = 1;
}

async function install({ 'bin-dir': binDir }: { readonly 'bin-dir'?: string | undefined }): Promise<void> {
  if (binDir === undefined) throw new Error('install needs --bin-dir, the folder where the runtime looks for executables');
  say(await putFile({ from: executable, folder: binDir, name: 'smartnic', mode: 0o755 }));
}

function say(text: string): void {
  process.stderr.write(`${JSON.stringify({ level: 30, time: Date.now(), msg: text })}\n`);
}

listenForEnd();
main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`smartnic-install: ${messageOf(error)}\n`);
  process.exitCode = 1;
});
