// Programs that go on when we end, in a session of their own: neither our end nor a signal to our terminal is theirs.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** What it writes goes to `logFile`, which begins anew. @returns its process number; undefined when it can't be started. */
export function startDetached(program: string, args: readonly string[], logFile: string): number | undefined {
  closeSync(openSync(logFile, 'w', 0o600));
  const output = openSync(logFile, 'a');
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', output, output],
      env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
    });
    child.once('error', () => {});
    child.unref();
    return child.pid;
  } finally {
    closeSync(output);
  }
}
