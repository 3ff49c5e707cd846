// The CNI server's process: `run` serves the runtime until a signal.
import { messageOf } from '../host/errors.ts';
import { runServer } from './resident.ts';
import { readSettings } from './settings.ts';

async function main(): Promise<void> {
  await runServer(await readSettings(environment()));
}

function environment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

main().catch((error: unknown) => {
  process.stderr.write(`${JSON.stringify({ level: 60, msg: `smartnic can't start: ${messageOf(error)}` })}\n`);
  process.exit(1);
});
