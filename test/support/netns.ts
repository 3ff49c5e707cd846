// Network namespaces for machine tests: made by `ip`, named after this process, removed on dispose whatever happened.
import { existsSync } from 'node:fs';
import { run, runSync } from '../../tools/program.ts';

export interface TestNetns extends AsyncDisposable {
  readonly name: string;
  readonly path: string;
  /** Runs `ip ARGS` inside and gives its JSON. */
  ip(...args: readonly string[]): Promise<unknown>;
}

let made = 0;

/** Needs root. The loopback is down, as in every new namespace. What a run left that was killed goes with the first one. */
export async function makeNetns(): Promise<TestNetns> {
  made += 1;
  if (made === 1) {
    removeNetns((pid) => !existsSync(`/proc/${pid}`));
    process.once('exit', () => removeNetns((pid) => pid === process.pid));
  }
  const name = `sn-t${process.pid}-${made}`;
  await run('ip', ['netns', 'add', name]);
  let there = true;
  return {
    name,
    path: `/run/netns/${name}`,
    ip: async (...args) => {
      const { stdout } = await run('ip', ['-netns', name, '-details', '-json', ...args]);
      return stdout === '' ? [] : JSON.parse(stdout);
    },
    async [Symbol.asyncDispose]() {
      if (!there) return;
      there = false;
      await run('ip', ['netns', 'delete', name]);
    },
  };
}

/** Those of this process that are still there. */
export function netnsLeft(): readonly string[] {
  return testNetns().flatMap(({ name, pid }) => (pid === process.pid ? [name] : []));
}

/** Of the processes chosen; one that somebody else removes meanwhile is as good as removed. */
function removeNetns(of: (pid: number) => boolean): void {
  for (const { name, pid } of testNetns()) if (of(pid)) runSync('ip', ['netns', 'delete', name], { reject: false });
}

function testNetns(): readonly { readonly name: string; readonly pid: number }[] {
  const { stdout } = runSync('ip', ['netns', 'list']);
  return [...stdout.matchAll(/^(sn-t(\d+)-\d+)/gm)].map(([, name = '', pid]) => ({ name, pid: Number(pid) }));
}
