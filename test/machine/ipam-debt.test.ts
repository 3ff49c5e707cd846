// An IPAM plugin that fails. If it gave no address, nothing is owed to it. Otherwise one entry stays and says so until the address is given back.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { codes } from '../../cni/protocol/errors.ts';
import { run } from '../../tools/program.ts';
import { refused, succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { fails, good, type IpamPlugins, ipamPlugins } from '../support/ipam-plugin.ts';
import { containerId, network, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

const top = join(import.meta.dirname, '../..');

describe('an IPAM plugin', function () {
  this.timeout(30_000);
  let node: TestNode;
  let undo: AsyncDisposableStack;
  let plugin: IpamPlugins['plugin'];
  let calls: IpamPlugins['calls'];
  cleanNode({ settings: 'ipamTimeout: 1\nkubernetes: { disabled: true }\n' }, (given) => {
    ({ node, undo } = given);
    ({ plugin, calls } = ipamPlugins(node));
  });

  const config = () => network(node, { ipam: { type: 'tried' } });
  const tried = async () => {
    const pod = undo.use(await node.pod());
    return { containerId: containerId(), netns: pod.path, config: config() };
  };
  const operator = async (...args: readonly string[]) => {
    const env = {
      SMARTNIC_CONFIG: join(node.dir, 'config.yaml'),
      SMARTNIC_SOCKET: node.socket,
      SMARTNIC_STATE_DIR: node.stateDir,
    };
    const command = [process.execPath, join(top, 'operator/main.ts'), ...args];
    return (await run('ip', ['netns', 'exec', node.ovs.netns, ...command], { env, reject: false })).stdout;
  };

  it('that refuses ADD and DEL is owed nothing: no entry stays, and the pod can go', async () => {
    const down = fails('{"code":142,"msg":"the daemon is not there"}');
    await plugin({ ADD: down, DEL: down });
    for (let count = 0; count < 3; count++) {
      const call = await tried();
      refused(await node.cni('ADD', call), 142, /the daemon is not there/);
      assert.deepEqual(await node.leftovers(), []);
      succeeded(await node.cni('DEL', call));
      assert.deepEqual(await node.leftovers(), []);
    }
    assert.match(await node.log(), /the IPAM plugin refused the address and its return: nothing is owed to it/);
  });

  it('that was killed may have given an address: what is owed is one entry, which says so until it is given back', async () => {
    await plugin({ ADD: 'exec sleep 3', DEL: fails('{"code":142,"msg":"pool is away"}') });
    const call = await tried();
    refused(await node.cni('ADD', call), codes.ipamFailed, /did not end within 1000 ms/);
    refused(await node.cni('DEL', call), 142, /pool is away/);
    const [entry, ...more] = await node.leftovers();
    assert.ok(entry?.startsWith('journal ') && more.length === 0);
    assert.match(await operator('repair', '--dry-run'), /it is deleted but for its addresses \(IPAM plugin tried\)/);
    assert.match(await operator('attachments'), /deleting: its addresses \(IPAM plugin tried\) can't be taken away yet/);
    await plugin({});
    assert.match(await operator('repair'), /^removed /m);
    assert.deepEqual(await node.leftovers(), []);
  });

  it('is not asked again once it has the address back, though more is left to be taken away', async () => {
    await plugin({ ADD: good });
    const { del } = undo.use(await attach(node, config()));
    await node.ovs.ovsdb.stop();
    succeeded(await del());
    await node.ovs.ovsdb.start();
    await until(async () => (await node.leftovers()).length === 0, 'the rest is taken away');
    assert.equal((await calls()).filter((line) => line.startsWith('DEL')).length, 1);
  });
});
