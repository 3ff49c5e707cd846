// ADD and DEL of `direct` with vfio-pci and a representor, in the virtual SmartNIC machine: where the time goes. The machine is emulated,
// some ten times slower than a real one, so the shares tell more than the milliseconds.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DirectMachine, startDirectMachine, vfio } from '../lab/direct-machine.ts';
import { LabUnavailable } from '../lab/ensure.ts';
import { startSwitch } from '../lab/switch.ts';
import { type Bench, type Figure, median, rounded } from './figure.ts';

const [warmUp, rounds] = [3, 15];

/** Between which steps of the server each part lies. The rest is ours: kubelet's word, the journal, looking at the VF, answering. */
const parts = {
  ADD: {
    netlink: [
      ['intent written', 'vf set'],
      ['vf bound', 'representor up'],
    ],
    'driver binding': [['vf set', 'vf bound']],
    OVSDB: [['representor up', 'port added']],
  },
  DEL: {
    netlink: [['port removed', 'vf unset']],
    'driver binding': [['vf unset', 'vf released']],
    OVSDB: [['deletion noted', 'port removed']],
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly (readonly [string, string])[]>>>>;

type Command = keyof typeof parts;
/** Milliseconds of one command by part; `all` is what the server says that it took. */
type Times = Readonly<Record<'all' | 'netlink' | 'driver binding' | 'OVSDB', number>>;

export const run: Bench = async (progress) => {
  progress('booting the virtual SmartNIC machine, a minute');
  try {
    await using machine = await startDirectMachine();
    await startSwitch(machine.lab);
    // As it ships: without what makes the suite quicker in the guest.
    await machine.node.restart('cni', { SMARTNIC_STEP_HOOK: 'time:/share/steps', NODE_OPTIONS: '' });
    progress(`${rounds} rounds of ADD and DEL`);
    return await measure(machine);
  } catch (error) {
    if (!(error instanceof LabUnavailable)) throw error;
    progress(`not measured: ${error.message}`);
    return [];
  }
};

async function measure(machine: DirectMachine): Promise<readonly Figure[]> {
  const times: Record<Command, Times[]> = { ADD: [], DEL: [] };
  const pod = await machine.pod(vfio, { representor: 'auto' });
  for (let round = -warmUp; round < rounds; round++) {
    for (const command of ['ADD', 'DEL'] as const) {
      const before = (await steps(machine)).length;
      const { exit, stdout } = await machine.node.cni(command, pod.call);
      if (exit !== 0) throw new Error(stdout);
      const took = split(command, (await steps(machine)).slice(before), await lastMs(machine));
      if (round >= 0) times[command].push(took);
    }
  }
  return (['ADD', 'DEL'] as const).flatMap((command) => {
    const figure = (what: string, of: (times: Times) => number) => ({
      name: `direct in the lab: ${command}, ${what}`,
      value: rounded(median(times[command].map(of))),
      unit: 'ms',
    });
    const own = (each: Times) => each.all - each['driver binding'] - each.OVSDB;
    return [
      figure('all', ({ all }) => all),
      ...Object.keys(parts[command]).map((part) => figure(part, (each) => each[part as keyof Times])),
      figure('our own share: all but driver binding and OVSDB', own),
      { ...figure('our own share of all', (each) => (100 * own(each)) / each.all), unit: '%' },
    ];
  });
}

interface Step {
  readonly name: string;
  readonly at: number;
}

async function steps({ lab }: DirectMachine): Promise<readonly Step[]> {
  const text = await readFile(join(lab.share, 'steps'), 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => ({ name: line.split('\t')[0] ?? '', at: Number(line.split('\t')[1]) }));
}

/** What the server's log says of the last request. */
async function lastMs({ node }: DirectMachine): Promise<number> {
  const lines = (await node.log('cni')).split('\n').filter((line) => line.includes('"msg":"done"'));
  return JSON.parse(lines.at(-1) ?? '{}').ms;
}

function split(command: Command, seen: readonly Step[], all: number): Times {
  const at = (name: string) => {
    const step = seen.find((each) => each.name === name);
    if (step === undefined)
      throw new Error(`${command} had no step "${name}"; it had: ${seen.map((each) => each.name).join(', ')}`);
    return step.at;
  };
  const sum = (spans: readonly (readonly [string, string])[]) =>
    spans.reduce((total, [from, to]) => total + at(to) - at(from), 0);
  const { netlink, OVSDB, 'driver binding': binding } = parts[command];
  return { all, netlink: sum(netlink), OVSDB: sum(OVSDB), 'driver binding': sum(binding) };
}
