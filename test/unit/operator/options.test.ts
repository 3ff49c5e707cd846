import { deepEqual, match, throws } from 'node:assert/strict';
import { parseOptions, usage } from '../../../operator/options.ts';

describe('the command line for a person', () => {
  const defaults = {
    operand: '',
    config: '/etc/smartnic/pools.yaml',
    kubeletDir: '/var/lib/kubelet',
    root: '/',
    cniBin: '/opt/cni/bin',
    resourcePrefix: 'intel.com',
    dryRun: false,
  };

  it('without a command, and with --help beside one, asks for help', () => {
    for (const args of [[], ['--help'], ['-h'], ['explain', '--help']]) deepEqual(parseOptions(args).command, 'help');
  });

  it('has the documented defaults', () => {
    for (const command of ['vfs', 'attachments', 'doctor', 'repair'])
      deepEqual(parseOptions([command]), { ...defaults, command });
  });

  it("takes each command's flags, wherever they stand", () => {
    deepEqual(parseOptions(['--root', '/r', 'explain', '0000:3b:00.2', '--config', 'c', '--kubelet-dir=k']), {
      ...{ ...defaults, command: 'explain', operand: '0000:3b:00.2' },
      ...{ root: '/r', config: 'c', kubeletDir: 'k' },
    });
    deepEqual(parseOptions(['doctor', '--cni-bin', '/b']).cniBin, '/b');
    deepEqual(parseOptions(['doctor', '--config', 'c']).config, 'c');
    deepEqual(parseOptions(['repair', '--dry-run']).dryRun, true);
  });

  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [['vf'], /^Error: unknown command "vf"; known are vfs, explain, attachments, doctor, repair$/],
    [['run'], /^Error: unknown command "run"; known are /],
    [['explain'], /^Error: explain needs the PCI address of a VF, as `vfs` lists them$/],
    [['explain', 'a', 'b'], /^Error: explain does not take "b"$/],
    [['vfs', 'x'], /^Error: vfs does not take "x"$/],
    [['attachments', '--dry-run'], /^Error: attachments does not take --dry-run, which is for repair$/],
    [['doctor', '--root', 'x'], /^Error: doctor does not take --root, which is for vfs and explain$/],
    [['vfs', '-x'], /^Error: unknown flag -x; there are: --help, --config, /],
    [['repair', '--dry-run=yes'], /^Error: --dry-run takes no value$/],
    [['doctor', '--cni-bin'], /^Error: --cni-bin needs a value$/],
  ];
  for (const [args, words] of refused)
    it(`refuses ${args.join(' ')} and says why`, () => throws(() => parseOptions(args), words));

  it('helps with every command and flag', () => {
    for (const word of ['vfs', 'explain', 'attachments', 'doctor', 'repair']) match(usage(), new RegExp(`^  ${word} `, 'm'));
    for (const flag of ['--config FILE', '--kubelet-dir DIRECTORY', '--root DIRECTORY', '--cni-bin DIRECTORY', '--dry-run'])
      match(usage(), new RegExp(`^  ${flag} `, 'm'));
  });
});
