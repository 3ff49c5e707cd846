// Network namespaces for machine tests: made by `ip`, named after this process, removed on dispose whatever happened.
import { execa } from 'execa';

export interface TestNetns extends AsyncDisposable {
  readonly name: string;
  readonly path: string;
  /** Runs `ip ARGS` inside and gives its JSON. */
  ip(...args: readonly string[]): Promise<unknown>;
}

let made = 0;

/** Needs root. The loopback is down, as in every new namespace. */
export async function makeNetns(): Promise<TestNetns> {
  made += 1;
  const name = `sn-t${process.pid}-${made}`;
  await execa('ip', ['netns', 'add', name]);
  let there = true;
  return {
    name,
    path: `/run/netns/${name}`,
    ip: async (...args) => {
      const { stdout } = await execa('ip', ['-netns', name, '-details', '-json', ...args]);
      return stdout === '' ? [] : JSON.parse(stdout);
    },
    async [Symbol.asyncDispose]() {
      if (!there) return;
      there = false;
      await execa('ip', ['netns', 'delete', name]);
    },
  };
}

/** Those of this process that are still there. */
export async function netnsLeft(): Promise<readonly string[]> {
  const { stdout } = await execa('ip', ['netns', 'list']);
  return stdout
    .split('\n')
    .flatMap((line) => /^sn-t\d+-\d+/.exec(line)?.filter((name) => name.startsWith(`sn-t${process.pid}-`)) ?? []);
}
