// What an ADD costs while the drivers of other VFs do not let go: two nodes take turns, one with such VFs and one without.
import { startHeldNode } from '../support/held-node.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';
import { atMost, type Bench, median, quantile, rounded, timed } from './figure.ts';

const [vfs, warmUp, rounds] = [10, 10, 300];

export const run: Bench = async (progress) => {
  progress(`${rounds} ADDs by turns, while ${vfs} VFs are stuck and while none is`);
  await using held = await startHeldNode(vfs);
  await using free = await startNode({ logLevel: 'debug' });
  await held.node.startServer();
  await Promise.all(held.attachments.map(held.del));
  await until(async () => (await held.errands()) === vfs, 'all of them are stuck');
  const times = { stuck: [] as number[], free: [] as number[] };
  for (let round = -warmUp; round < rounds; round++)
    for (const [name, node] of [['stuck', held.node] as const, ['free', free] as const]) {
      const taken = await oneAdd(node);
      if (round >= 0) times[name].push(taken);
    }
  await held.node.server.stop('SIGKILL');
  await held.release();
  const [stuck, without] = [quantile(times.stuck, 0.99), quantile(times.free, 0.99)];
  const ms = (name: string, value: number) => ({ name: `ADD ${name}`, value: rounded(value), unit: 'ms' });
  return [
    ms('p99 while no VF is stuck', without),
    ms(`p99 while ${vfs} VFs are stuck`, stuck),
    atMost(1.2, { name: 'ADD p99, while VFs are stuck / while none is', value: rounded(stuck / without), unit: 'x' }),
    ms('median while no VF is stuck', median(times.free)),
    ms(`median while ${vfs} VFs are stuck`, median(times.stuck)),
  ];
};

async function oneAdd(node: TestNode): Promise<number> {
  await using pod = await node.pod();
  const call = { containerId: containerId(), netns: pod.path, config: network(node, { ipam: undefined }) };
  const took = await timed(async () => {
    const { exit, stdout } = await node.cni('ADD', call);
    if (exit !== 0) throw new Error(stdout);
  });
  await node.cni('DEL', call);
  return took;
}
