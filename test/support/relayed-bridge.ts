// A bridge with a veth pair in place of a VF and its representor, a neighbour on the same bridge, and a supervisor of relays in the namespace
// of the "vf". A ping from the neighbour is answered by the consumer behind the relay.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Forwarder, Pair } from '../../host/forwarder/forwarder.ts';
import { openTestpmd } from '../../host/forwarder/testpmd.ts';
import { run } from '../../tools/program.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { makeNetns } from './netns.ts';
import { startOvs } from './ovs.ts';
import { until } from './until.ts';

export interface RelayedBridge extends AsyncDisposable {
  readonly dir: string;
  readonly pair: Pair;
  readonly forwarder: Forwarder;
  readonly supervisor: () => Daemon;
  startSupervisor(): Promise<void>;
  /** Sends that many echo requests, 200 a second unless told otherwise, and gives the number of answers. */
  ping(count: number, size?: number, pace?: readonly string[]): Promise<number>;
  /** The processes that relay to the pair's socket. */
  relays(): Promise<readonly number[]>;
}

const top = join(import.meta.dirname, '../..');
export const consumerMac = '52:54:00:cc:00:01';

export async function startRelayedBridge(): Promise<RelayedBridge> {
  await using undo = new AsyncDisposableStack();
  const ovs = undo.use(await startOvs());
  await ovs.addBridge('br0');
  const neighbour = undo.use(await makeNetns());
  const ip = (...args: readonly string[]) => run('ip', ['-n', ovs.netns, ...args]);
  await ip('link', 'add', 'name', 'vf0', 'type', 'veth', 'peer', 'name', 'rep0');
  await ip('link', 'add', 'name', 'nb0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', neighbour.name);
  for (const name of ['vf0', 'rep0', 'nb0']) await ip('link', 'set', 'dev', name, 'up');
  await run('ip', ['-n', neighbour.name, 'address', 'add', '10.9.0.1/24', 'dev', 'eth0']);
  await run('ip', ['-n', neighbour.name, 'link', 'set', 'dev', 'eth0', 'up']);
  await ovs.vsctl('add-port', 'br0', 'rep0', '--', 'add-port', 'br0', 'nb0');

  const dir = await mkdtemp(join(tmpdir(), 'fw-'));
  undo.defer(() => rm(dir, { recursive: true, force: true }));
  const [settings, program] = [join(dir, 'config.yaml'), join(dir, 'testpmd')];
  // Otherwise it would take a whole CPU away from other tests.
  await writeFile(program, '#!/bin/sh\nexec nice -n 15 /usr/bin/dpdk-testpmd "$@"\n', { mode: 0o755 });
  await writeFile(
    settings,
    `forwarder: { kind: testpmd, program: ${program}, directory: ${dir}/run, hugepages: false, memory: 64 }\n`,
  );
  // A path as on a node. It has colons, which have a meaning in other places of a DPDK command line.
  const pair: Pair = { device: 'vf0', socket: `${dir}/0000:0a:00.1.sock`, mac: consumerMac, mtu: 1500 };
  const forwarder = openTestpmd({ directory: `${dir}/run` });
  const relays = async () => {
    const { stdout } = await run('pgrep', ['-f', `^/usr/bin/dpdk-testpmd .*iface=${pair.socket},client=1`], { reject: false });
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
  };
  undo.defer(async () => {
    for (const pid of await relays()) process.kill(pid, 'SIGKILL');
  });

  let supervisor: Daemon | undefined;
  undo.defer(async () => supervisor?.stop());
  const startSupervisor = async () => {
    const command = [process.execPath, join(top, 'supervisor/main.ts')];
    supervisor = startDaemon('ip', ['netns', 'exec', ovs.netns, ...command], {
      PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
      SMARTNIC_CONFIG: settings,
      SMARTNIC_STATE_DIR: `${dir}/run`,
    });
    await until(async () => (await forwarder.health())?.includes('did not answer') !== true, 'the supervisor answers');
  };
  await startSupervisor();
  const kept = undo.move();
  return {
    dir,
    pair,
    forwarder,
    startSupervisor,
    relays,
    supervisor: () => {
      if (supervisor === undefined) throw new Error('no supervisor was started');
      return supervisor;
    },
    ping: async (count, size = 56, pace = ['-i', '0.005']) => {
      const ping = ['ping', '-n', '-q', ...pace, '-W', '1', '-c', String(count), '-s', String(size), '10.9.0.2'];
      const { stdout } = await run('ip', ['netns', 'exec', neighbour.name, ...ping], { reject: false });
      return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
