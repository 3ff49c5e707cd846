// A database that names links of this machine which are not ours: a tenant's own OVSDB server, or one that lies.
import assert from 'node:assert/strict';
import { run } from '../../../tools/program.ts';
import { succeeded } from '../../support/answers.ts';
import { attach } from '../../support/attached.ts';
import { cleanNode } from '../../support/clean-node.ts';
import { containerId, network, type TestNode } from '../../support/node.ts';
import { startOvs } from '../../support/ovs.ts';

describe('a database that names links of this machine', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });
  const ip = async (...args: readonly string[]) => await run('ip', ['-n', node.ovs.netns, ...args]);
  const isThere = async (name: string) =>
    (await run('ip', ['-n', node.ovs.netns, 'link', 'show', 'dev', name], { reject: false })).exitCode === 0;

  it('has none deleted that is not ours, by GC, DEL or the sweep', async () => {
    const other = undo.use(await startOvs());
    await other.addBridge('br0');
    await ip('link', 'add', 'uplink0', 'type', 'veth', 'peer', 'name', 'uplink1');
    await ip('link', 'set', 'dev', 'uplink0', 'alias', 'smartnic tenant-a somebody eth0');
    undo.defer(async () => void (await ip('link', 'delete', 'dev', 'uplink0')));
    const living = undo.use(await attach(node, network(node)));
    for (const [db, name, container] of [
      [other, 'uplink0', 'c1'],
      [other, 'uplink1', 'c2'],
      [other, living.port, 'c3'],
      [node.ovs, 'uplink1', 'c4'],
    ] as const) {
      const ids = {
        owner: 'smartnic.io',
        'smartnic-network': 'tenant-a',
        'smartnic-container': container,
        'smartnic-ifname': 'eth0',
        'smartnic-type': 'normal',
      };
      const set = Object.entries(ids).map(([key, value]) => `external_ids:${key}=${value}`);
      await db.vsctl('--no-wait', 'add-port', 'br0', name, '--', 'set', 'Interface', name, ...set);
    }
    const named = network(node, { ovsdb: other.address });
    const valid = [{ containerID: living.call.containerId, ifname: 'eth0' }];
    const gc = { containerId: '', config: { ...named, cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid } };
    succeeded(await node.cni('GC', gc));
    succeeded(await node.cni('GC', { ...gc, config: { ...gc.config, ovsdb: node.ovs.address } }));
    for (const container of ['c1', 'c2', 'c3']) await node.cni('DEL', { containerId: container, config: named });
    await node.cni('DEL', { containerId: 'c4', config: network(node) });
    await node.sweep();
    for (const name of ['uplink0', 'uplink1', living.port]) assert.ok(await isThere(name), name);
    succeeded(await living.check());
  });

  it('leaves our own link to DEL, also where the journal is lost and where the network’s name is long', async () => {
    for (const name of ['tenant-a', 'n'.repeat(240)]) {
      const one = await attach(node, network(node, { name }));
      assert.ok(await isThere(one.port));
      await run('rm', ['-r', `${node.stateDir}/attachments`]);
      await run('mkdir', [`${node.stateDir}/attachments`]);
      await node.server.stop();
      await node.startServer();
      succeeded(await one.del());
      assert.ok(!(await isThere(one.port)));
      await one[Symbol.asyncDispose]();
    }
  });

  it('makes no port of another node a stray, where it is remote', async () => {
    const call = {
      containerId: containerId(),
      config: { ...network(node), cniVersion: '1.1.0', ovsdb: 'tcp:127.0.0.1:9', 'cni.dev/valid-attachments': [] },
    };
    succeeded(await node.cni('GC', { ...call, containerId: '' }));
  });
});
