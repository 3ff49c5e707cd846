// A copy of this project with one vnic type more, made as anybody would make one: a file in vnic/, and its lines in the table.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run, start } from '../../tools/program.ts';
import type { FakeKubelet } from './fake-kubelet.ts';

const top = join(import.meta.dirname, '../..');
const folders = ['cni', 'device-plugin', 'host', 'inventory', 'network', 'operator', 'proto', 'supervisor', 'vnic'];

export const type = 'made-up';
export const resource = `smartnic.io/${type}`;
export const pools = `pools: [{ name: toys, vnicType: ${type}, slots: 2 }]\n`;

/** A veth pair as of `normal`, for which kubelet must have given a slot, and a device node that the other types do not give. */
const file = `import type { Offer, Cable } from './vnic.ts';
import { cable as normal } from './normal.ts';

export const cable = { ...normal, reserves: () => 'slot' } as const satisfies Cable;

export const offer: Offer = {
  drivers: ['vfio-pci'],
  slots: true,
  needsForwarder: false,
  prefers: 'low addresses',
  canTake: () => false,
  grant: ({ id }) => ({
    devices: [{ hostPath: '/dev/null', containerPath: '/dev/made-up', permissions: 'r' }],
    mounts: [],
    info: { generic: { deviceID: id } },
  }),
  deviceInfo: { type: 'toy', describe: ({ id }) => ({ name: id }) },
};
`;

const lines = {
  import: ["import * as normal from './normal.ts';", "import * as madeUp from './made-up.ts';"],
  cable: ['  normal: normal.cable,', `  '${type}': madeUp.cable,`],
  offer: ['  direct: direct.offer,', `  '${type}': madeUp.offer,`],
} as const;

export interface Copy extends Disposable {
  readonly directory: string;
  /** What the compiler says; empty: nothing. */
  compile(): Promise<string>;
  /** The device plugin, offering to kubelet, until `signal`; and `smartnic` for a person. `root` has etc/pools.yaml and the fake kubelet as k. */
  offer(kubelet: FakeKubelet, signal: AbortSignal): void;
  ask(kubelet: FakeKubelet, command: string): Promise<string>;
}

/** @param rows - what is added to the table. */
export function copyWithType(rows: readonly (keyof typeof lines)[] = ['import', 'cable', 'offer']): Copy {
  const directory = mkdtempSync(join(tmpdir(), 'sn-made-up-'));
  for (const name of [...folders, 'package.json']) cpSync(join(top, name), join(directory, name), { recursive: true });
  symlinkSync(join(top, 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(directory, 'vnic/made-up.ts'), file);
  const table = join(directory, 'vnic/index.ts');
  writeFileSync(
    table,
    rows.reduce((text, row) => text.replace(lines[row][0], lines[row].join('\n')), readFileSync(table, 'utf8')),
  );
  const { compilerOptions } = JSON.parse(readFileSync(join(top, 'tsconfig.json'), 'utf8'));
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: folders }));
  const flags = (kubelet: FakeKubelet) => {
    const root = dirname(kubelet.directory);
    return ['--root', root, '--kubelet-dir', '/k', '--config', join(root, 'etc/pools.yaml')];
  };
  const node = (program: string, ...args: readonly string[]) => [process.execPath, [join(directory, program), ...args]] as const;
  return {
    directory,
    compile: async () => (await run(join(top, 'node_modules/.bin/tsc'), ['-p', directory], { reject: false })).stdout,
    offer: (kubelet, cancelSignal) => {
      const args = node('device-plugin/main.ts', '--address', '127.0.0.1:0', ...flags(kubelet));
      void start(...args, { cancelSignal, reject: false, stdio: 'ignore' });
    },
    ask: async (kubelet, command) => (await run(...node('operator/main.ts', command, ...flags(kubelet)))).stdout,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
