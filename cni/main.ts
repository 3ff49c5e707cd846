// The CNI server's process: serves the runtime until a signal.
import { messageOf } from '../host/base/errors.ts';
import { readSettings } from './attachment/settings-file.ts';
import { parseOptions, usage } from './options.ts';

async function main(): Promise<void> {
  if (parseOptions(process.argv.slice(2)).help) return void process.stdout.write(usage);
  const { runServer } = await import('./server/resident.ts');
  await runServer(readSettings(process.env).settings);
}

main().catch((error: unknown) => {
  process.stderr.write(`${JSON.stringify({ level: 60, msg: `smartnic can't start: ${messageOf(error)}` })}\n`);
  process.exit(1);
});
