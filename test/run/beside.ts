// Runs builds in the background while the suites run, one build after the other. They get the CPU time that the suites leave.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { run } from '../../tools/program.ts';

const logs = join(import.meta.dirname, '../../.cache/beside');
/** Seconds that one build may take in the background. */
const limit = 60 * 60;

export interface Beside {
  begin(): void;
  /** Waits for the build that this suite needs, and prints its log. If it failed, the suite builds again by itself. */
  waitFor(name: string): Promise<void>;
}

export function runBeside(scripts: readonly string[]): Beside {
  const running = new Map<string, Promise<void>>();
  return {
    begin: () => {
      let last = Promise.resolve();
      for (const script of scripts) {
        last = last.then(async () => await build(script));
        running.set(script, last);
      }
    },
    waitFor: async (name) => {
      for (const [script, ended] of running) {
        if (name !== 'long' && name.split(':')[1] !== script.split(':')[1]) continue;
        running.delete(script);
        console.log(`\n==> waiting for ${script}, which runs since the first suites began; it says:`);
        await ended;
        console.log(readFileSync(logOf(script), 'utf8').trimEnd());
      }
    },
  };
}

async function build(script: string): Promise<void> {
  mkdirSync(logs, { recursive: true });
  writeFileSync(logOf(script), '');
  const log = { file: logOf(script), append: true } as const;
  try {
    await run('nice', ['-n', '19', 'npm', 'run', '--silent', script], { stdio: ['ignore', log, log], seconds: limit });
  } catch (error) {
    console.error(`==> ${script} has failed; the suite that needs it tries again. ${messageOf(error)}`);
  }
}

function logOf(script: string): string {
  return join(logs, `${script.replace(':', '-')}.log`);
}
