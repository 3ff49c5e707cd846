// The lab by hand: `node test/lab/main.ts build`, `... run SCRIPT`, `... remove`.
import { rm } from 'node:fs/promises';
import { notPossibleHere } from '../../tools/exit.ts';
import { cache } from './cache.ts';
import { ensureLab, LabUnavailable } from './ensure.ts';
import { bootLab } from './lab.ts';
import '../../tools/path.ts';

const commands: Readonly<Record<string, () => Promise<number>>> = {
  build: async () => {
    await ensureLab();
    return 0;
  },
  run: async () => {
    await using lab = await bootLab();
    const { exit, stdout, stderr } = await lab.run(process.argv.slice(3).join(' '), { timeout: 600 });
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    return exit;
  },
  remove: async () => {
    await rm(cache, { recursive: true, force: true });
    return 0;
  },
};

const command = commands[process.argv[2] ?? ''];
if (command === undefined) throw new Error(`say what to do: ${Object.keys(commands).join(', ')}`);
try {
  process.exitCode = await command();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof LabUnavailable ? notPossibleHere : 1;
}
