// The CNI server's process: `run` serves the runtime until a signal; `attachments`, `doctor` and `repair` answer a person and end.
import { messageOf } from '../host/base/errors.ts';
import { readSettings } from './attachment/settings.ts';
import { type Command, type Options, parseOptions, usage } from './options.ts';

// Loaded only where they are wanted: the server keeps no command in memory.
const act: Readonly<Record<Command, (options: Options) => Promise<void>>> = {
  run: async () => {
    const { runServer } = await import('./server/resident.ts');
    await runServer(await readSettings(environment()));
  },
  attachments: async () => {
    const [{ openLooker }, { showAttachments }] = await Promise.all([
      import('../operator/looker.ts'),
      import('../operator/attachments.ts'),
    ]);
    await using looker = openLooker(await readSettings(environment()));
    process.stdout.write(await showAttachments(looker));
  },
  doctor: async ({ cniBin }) => {
    const { consult } = await import('../operator/doctor/consult.ts');
    const { text, failed } = await consult(() => readSettings(environment()), cniBin);
    process.stdout.write(text);
    process.exit(failed ? 1 : 0); // not waiting for what an API server still has to say
  },
  repair: async ({ dryRun }) => {
    const { repair } = await import('../operator/repair.ts');
    process.stdout.write(await repair(await readSettings(environment()), dryRun));
  },
};

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(usage());
  else await act[options.command](options);
}

function environment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

main().catch((error: unknown) => {
  const serves = ['run', undefined].includes(process.argv[2]);
  const text = messageOf(error);
  process.stderr.write(
    serves ? `${JSON.stringify({ level: 60, msg: `smartnic can't start: ${text}` })}\n` : `smartnic: ${text}\n`,
  );
  process.exit(1);
});
