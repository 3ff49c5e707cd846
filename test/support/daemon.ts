// A program that runs until its test ends. It is killed by its own pid, or by the kernel when the test process dies first.
import { spawn } from 'node:child_process';

export interface Daemon {
  readonly pid: number | undefined;
  running(): boolean;
  /** SIGTERM, SIGKILL after five seconds; resolves when it is gone. Twice is fine. */
  stop(): Promise<void>;
  /** Sends a signal (SIGSTOP and SIGCONT make a peer that is silent but not gone). */
  signal(name: NodeJS.Signals): void;
}

export function startDaemon(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Daemon {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', file, ...args], { env, stdio: 'ignore' });
  let running = true;
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      running = false;
      resolve();
    };
    child.once('exit', end);
    child.once('error', end);
  });
  const kill = () => child.kill('SIGKILL');
  return {
    pid: child.pid,
    running: () => running,
    stop: async () => {
      if (!running) return;
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      const timer = setTimeout(kill, 5000);
      await ended;
      clearTimeout(timer);
    },
    signal: (name) => {
      child.kill(name);
    },
  };
}
