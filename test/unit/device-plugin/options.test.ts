import { deepEqual, match, throws } from 'node:assert/strict';
import { parseOptions, usage } from '../../../device-plugin/options.ts';

describe('the command line of the device plugin', () => {
  it('without any word serves with the documented defaults', () => {
    deepEqual(parseOptions([]), {
      help: false,
      config: '/etc/smartnic/pools.yaml',
      resourcePrefix: 'intel.com',
      hostname: '127.0.0.1',
      port: 9477,
      kubeletDir: '/var/lib/kubelet',
      registration: 'auto',
      logLevel: 'info',
      root: '/',
    });
  });

  it('reads addresses of both families and of all', () => {
    const address = (word: string) => {
      const { hostname, port } = parseOptions(['--address', word]);
      return `${hostname} ${port}`;
    };
    deepEqual(['[::1]:9477', ':80', '0.0.0.0:1'].map(address), ['::1 9477', ':: 80', '0.0.0.0 1']);
  });

  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [['--address', '9477'], /--address: "9477" is not HOST:PORT; write 127\.0\.0\.1:9477/],
    [['--resource-prefix', 'Intel'], /--resource-prefix: "Intel" is not a domain/],
    [['--address', 'h:99999'], /is not HOST:PORT/],
    [['--registration', 'maybe'], /--registration: "maybe" is not one of auto, watcher, register/],
    [['--log-level', 'loud'], /--log-level: "loud" is not one of trace/],
    [['vfs'], /unknown command "vfs"; known is run, and smartnic\.mjs has the commands for a person$/],
    [['run', 'x'], /run does not take "x"/],
    [['--nonsense'], /^Error: unknown flag --nonsense; there are: --help, --config, /],
    [['run', '-x'], /^Error: unknown flag -x; there are: /],
    [['--config'], /^Error: --config needs a value$/],
    [['--config', '--root', '/'], /^Error: --config needs a value$/],
    [['--help=yes'], /^Error: --help takes no value$/],
  ];
  for (const [args, words] of refused)
    it(`refuses ${args.join(' ')} and says why`, () => throws(() => parseOptions(args), words));

  it('takes `run`, which is all that it does', () => deepEqual(parseOptions(['run']), parseOptions([])));

  it('helps with every flag', () => {
    for (const word of ['run', '--config', '--address', '--kubelet-dir', '--registration', '--log-level', '--root'])
      match(usage(), new RegExp(`  ${word}`));
  });
});
