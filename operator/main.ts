// `smartnic COMMAND`: the program for a person. It looks for itself, so it works while our servers do not.
import { messageOf } from '../host/base/errors.ts';
import { printable } from '../host/base/printable.ts';
import { type Command, type Options, parseOptions, usage } from './options.ts';

// Each command loads only the modules that it needs.
const act: Readonly<Record<Command | 'help', (options: Options) => Promise<string>>> = {
  help: async () => usage(),
  vfs: async (options) => {
    const [{ look }, { showVfs }] = await Promise.all([import('./view.ts'), import('./vfs.ts')]);
    return showVfs(await look(options));
  },
  explain: async (options) => {
    const [{ look }, { explainVf, readAddress }] = await Promise.all([import('./view.ts'), import('./explain.ts')]);
    const address = readAddress(options.operand);
    return explainVf(await look(options), address);
  },
  attachments: async () => {
    const [{ openLooker }, { showAttachments }] = await Promise.all([import('./looker.ts'), import('./attachments.ts')]);
    const { settings, remarks } = await inForce();
    await using looker = openLooker(settings);
    return remarks + (await showAttachments(looker));
  },
  doctor: async ({ cniBin, config: pools, resourcePrefix }) => {
    const { consult } = await import('./consult.ts');
    const { text, failed } = await consult({ env: process.env, cniBin, pools, resourcePrefix });
    process.stdout.write(printable(text));
    process.exit(failed ? 1 : 0); // does not wait for an API server that has not answered yet
  },
  repair: async ({ dryRun }) => {
    const [{ repair }, { settings, remarks }] = await Promise.all([import('./repair.ts'), inForce()]);
    return remarks + (await repair(settings, dryRun));
  },
};

async function inForce() {
  const { readSettings } = await import('../cni/attachment/settings-file.ts');
  const { settings, problems } = readSettings(process.env);
  return { settings, remarks: problems.map((words) => `! ${words}; this is by the last good configuration\n`).join('') };
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  process.stdout.write(printable(await act[options.command](options)));
}

main().catch((error: unknown) => {
  process.stderr.write(`smartnic: ${printable(messageOf(error))}\n`);
  process.exit(1);
});
