import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ipamAdd, ipamOptional } from '../../../../cni/protocol/ipam.ts';
import { openLog } from '../../../../host/base/log.ts';
import { run } from '../../../../host/program/run.ts';

/** As much of a machine as the calls below use. */
const machine = {
  root: '/',
  log: openLog('silent'),
  run,
  netlink: () => assert.fail('no link is touched'),
  ovsdb: () => assert.fail('no database is asked'),
  step: () => {},
};

describe('an IPAM plugin older than the network', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sn-ipam-'));
  });
  after(async () => {
    await rm(dir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await rm(join(dir, 'calls'), { force: true });
  });

  /** A plugin that knows these versions, writes down what it is asked, and answers with the version it was asked in. */
  async function plugin(versions: string, asked: string) {
    const script = `#!/bin/sh
read -r config
version=$(printf %s "$config" | sed -n 's/.*"cniVersion":"\\([^"]*\\)".*/\\1/p')
echo "$CNI_COMMAND $version" >> ${dir}/calls
if [ "$CNI_COMMAND" = VERSION ]; then echo '${versions}'; exit 0; fi
case '${versions}' in
  *"\\"$version\\""*) echo '{"cniVersion":"'$version'","ips":[{"version":"4","address":"10.0.0.2/8"}]}' ;;
  *) echo '{"cniVersion":"0.4.0","code":1,"msg":"incompatible CNI versions"}'; exit 1 ;;
esac
`;
    await writeFile(join(dir, 'old'), script, { mode: 0o755 });
    const stdin = { cniVersion: asked, name: 'n', ipam: { type: 'old' } };
    return { type: 'old', path: [dir], env: {}, stdin, timeout: 5000 };
  }

  const supported = (...versions: readonly string[]) => JSON.stringify({ cniVersion: '0.4.0', supportedVersions: versions });
  const calls = async () => (await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n');

  it('is asked in the version of the network alone when it knows that', async () => {
    const call = await plugin(supported('0.4.0', '1.0.0'), '1.0.0');
    assert.equal((await ipamAdd(machine, call)).ips[0]?.address, '10.0.0.2/8');
    assert.deepEqual(await calls(), ['ADD 1.0.0']);
  });

  it('is asked again in the newest version that both know', async () => {
    const call = await plugin(supported('0.1.0', '0.3.1', '0.4.0', '9.0.0'), '1.1.0');
    assert.equal((await ipamAdd(machine, call)).ips[0]?.address, '10.0.0.2/8');
    assert.deepEqual(await calls(), ['ADD 1.1.0', 'VERSION 1.0.0', 'ADD 0.4.0']);
  });

  for (const [what, versions] of [
    ['knows no version that we do', supported('0.1.0', '0.2.0')],
    ['says so of the very version it claims to know', supported()],
    ['answers VERSION with something else', '[]'],
    ['answers VERSION with no JSON', 'usage: old'],
  ] as const) {
    it(`keeps its own error when it ${what}`, async () => {
      const call = await plugin(versions, '1.1.0');
      await assert.rejects(ipamAdd(machine, call), { code: 1, message: 'IPAM plugin old: incompatible CNI versions' });
    });
  }

  it('has nothing to object to a command that it does not know', async () => {
    const call = await plugin(supported('0.1.0'), '1.1.0');
    for (const command of ['CHECK', 'GC', 'STATUS'] as const) await ipamOptional(machine, call, command);
  });
});
