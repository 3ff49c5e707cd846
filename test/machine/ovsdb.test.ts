// OVSDB and bridge ports on the real thing: ovsdb-server and ovs-vswitchd of the distribution.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../../host/base/errors.ts';
import { openLog } from '../../host/base/log.ts';
import { addPort, createBridge, findBridge, findPorts, removePorts, vswitchdRunning } from '../../host/ovs/bridge.ts';
import { findDefaultMtu } from '../../host/ovs/default-mtu.ts';
import { type Ovsdb, openOvsdb, type TlsFiles } from '../../host/ovs/ovsdb.ts';
import { removingTogether } from '../../host/ovs/removing-together.ts';
import { createBridgeOperations } from '../../host/ovs/transactions.ts';
import { run } from '../../tools/program.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { type Ovs, skipWithoutOvs, startOvs } from '../support/ovs.ts';
import { type OvsdbServer, program, startOvsdbServer } from '../support/ovsdb-server.ts';
import { until } from '../support/until.ts';

const log = openLog('silent');

/** An Open vSwitch and a connection to it, for all tests of a `describe`. */
function connected(given: (both: { readonly ovs: Ovs; readonly db: Ovsdb }) => void): void {
  forAllTests(startOvs, (ovs, undo) => given({ ovs, db: undo.use(openOvsdb(ovs.address, { log })) }));
}

describe('bridge ports on a real Open vSwitch', () => {
  let ovs: Ovs;
  let db: Ovsdb;
  connected((given) => {
    ({ ovs, db } = given);
  });
  before(() => makeLinks(ovs, ['p0', 'p1', 'p2', 'p3', 'p-4"é.x']));
  beforeEach(() => ovs.addBridge('br0'));
  afterEach(() => ovs.reset());

  it('are there with all that was asked for when addPort returns', async () => {
    const externalIds = { 'iface-id': 'a b"c', owner: 'o', empty: '' };
    const { ofport } = await addPort(db, { bridge: 'br0', name: 'p0', externalIds });
    assert.equal(await ovs.vsctl('get', 'Interface', 'p0', 'ofport'), String(ofport));
    assert.equal(await ovs.vsctl('port-to-br', 'p0'), 'br0');
    assert.equal(await ovs.vsctl('get', 'Interface', 'p0', 'external_ids:iface-id'), '"a b\\"c"');
    assert.deepEqual(await findPorts(db, { owner: 'o' }), [
      { bridge: 'br0', name: 'p0', externalIds, ofport, trunk: [], vlanMode: 'access' },
    ]);
    assert.match(await ovs.appctl('dpif/show'), /p0 \d+\/\d+: \(system\)/);
  });

  it('have any name that a netdev may have', async () => {
    await addPort(db, { bridge: 'br0', name: 'p-4"é.x', externalIds: {} });
    assert.deepEqual(await removePorts(db, ['p-4"é.x']), ['p-4"é.x']);
  });

  it('are access, trunk or native-untagged ports as ovs-vsctl sees them', async () => {
    const vlans = async (name: string) => (await ovs.vsctl('get', 'Port', name, 'tag', 'trunks', 'vlan_mode')).split('\n');
    await addPort(db, { bridge: 'br0', name: 'p0', externalIds: { k: 'v' } });
    await addPort(db, { bridge: 'br0', name: 'p1', externalIds: { k: 'v' }, vlan: 7 });
    await addPort(db, { bridge: 'br0', name: 'p2', externalIds: { k: 'v' }, trunk: [5, 3, 4] });
    await addPort(db, { bridge: 'br0', name: 'p3', externalIds: { k: 'v' }, vlan: 7, trunk: [3] });
    assert.deepEqual(await vlans('p0'), ['[]', '[]', 'access']);
    assert.deepEqual(await vlans('p1'), ['7', '[]', 'access']);
    assert.deepEqual(await vlans('p2'), ['[]', '[3, 4, 5]', 'trunk']);
    assert.deepEqual(await vlans('p3'), ['7', '[3]', 'native-untagged']);
    await addPort(db, { bridge: 'br0', name: 'p4', type: 'internal', externalIds: {}, trunk: 'all' });
    assert.deepEqual(await vlans('p4'), ['[]', '[]', 'trunk']);
    const found = (await findPorts(db, { k: 'v' })).map(({ name, vlan, trunk, vlanMode }) => [name, vlan, trunk, vlanMode]);
    assert.deepEqual(found.toSorted(), [
      ['p0', undefined, [], 'access'],
      ['p1', 7, [], 'access'],
      ['p2', undefined, [3, 4, 5], 'trunk'],
      ['p3', 7, [3], 'native-untagged'],
    ]);
  });

  it('are refused when the name is taken, in this bridge or another, and the first one stays', async () => {
    await ovs.addBridge('br1');
    const { ofport } = await addPort(db, { bridge: 'br0', name: 'p0', externalIds: { first: 'yes' } });
    for (const bridge of ['br0', 'br1']) {
      await assert.rejects(addPort(db, { bridge, name: 'p0', externalIds: {} }), /port p0 exists already.*port-to-br p0/);
    }
    assert.equal((await findPorts(db, { first: 'yes' }))[0]?.ofport, ofport);
  });

  it('are refused when only one of two at the same time can have the name', async () => {
    const both = await Promise.allSettled([0, 1].map(() => addPort(db, { bridge: 'br0', name: 'p0', externalIds: {} })));
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
    assert.equal(await ovs.vsctl('list-ports', 'br0'), 'p0');
  });

  it('are refused without their bridge', async () => {
    await assert.rejects(addPort(db, { bridge: 'br9', name: 'p0', externalIds: {} }), /p0.*there is no bridge br9.*add-br br9/);
    assert.deepEqual(await findPorts(db, {}).then((ports) => ports.map(({ name }) => name)), ['br0']);
  });

  it("fail with ovs-vswitchd's own words when the device is missing, and leave nothing", async () => {
    const failed = addPort(db, { bridge: 'br0', name: 'nowhere', externalIds: {} });
    await assert.rejects(
      failed,
      /did not take port nowhere of bridge br0: could not open network device nowhere \(No such device\)/,
    );
    assert.equal(await ovs.vsctl('list-ports', 'br0'), '');
    assert.equal(await ovs.vsctl('--columns=name', '--bare', 'list', 'Interface'), 'br0');
  });

  it('are removed together, also from several bridges; what is absent is no error and not counted', async () => {
    await ovs.addBridge('br1');
    await addPort(db, { bridge: 'br0', name: 'p0', externalIds: {} });
    await addPort(db, { bridge: 'br1', name: 'p1', externalIds: {} });
    await addPort(db, { bridge: 'br1', name: 'p2', externalIds: {} });
    assert.deepEqual(await removePorts(db, ['p0', 'gone', 'p1', 'p0']), ['p0', 'p1']);
    assert.deepEqual(await removePorts(db, ['p0', 'gone', 'p1']), []);
    assert.equal(await ovs.vsctl('list-ports', 'br0'), '');
    assert.equal(await ovs.vsctl('list-ports', 'br1'), 'p2');
    assert.deepEqual((await ovs.vsctl('--columns=name', '--bare', 'list', 'Port')).split('\n').filter(Boolean).toSorted(), [
      'br0',
      'br1',
      'p2',
    ]);
  });

  it('are found by external_ids, all pairs of them', async () => {
    await addPort(db, { bridge: 'br0', name: 'p0', externalIds: { a: '1', b: '1' } });
    await addPort(db, { bridge: 'br0', name: 'p1', externalIds: { a: '1', b: '2' } });
    const names = async (match: Readonly<Record<string, string>>) =>
      (await findPorts(db, match)).map(({ name }) => name).toSorted();
    assert.deepEqual(await names({ a: '1' }), ['p0', 'p1']);
    assert.deepEqual(await names({ a: '1', b: '2' }), ['p1']);
    assert.deepEqual(await names({ a: '2' }), []);
    assert.deepEqual(await names({ c: '1' }), []);
  });

  it('are seen as others change them', async () => {
    await addPort(db, { bridge: 'br0', name: 'p0', externalIds: { k: 'v', x: '1' } });
    await ovs.vsctl(
      'set',
      'Port',
      'p0',
      'tag=9',
      '--',
      'set',
      'Interface',
      'p0',
      'external_ids:x=2',
      '--',
      'remove',
      'Interface',
      'p0',
      'external_ids',
      'none',
    );
    await db.until((replica) => replica.port('p0')?.tag, { timeout: 1000, what: 'the tag' });
    const [port] = await findPorts(db, { k: 'v' });
    assert.deepEqual([port?.vlan, port?.externalIds], [9, { k: 'v', x: '2' }]);
    await ovs.vsctl('remove', 'Interface', 'p0', 'external_ids', 'k');
    await ovs.vsctl('add-port', 'br0', 'p1', '--', 'set', 'Interface', 'p1', 'external_ids:k=w');
    await db.until((replica) => replica.port('p1'), { timeout: 1000, what: 'p1' });
    assert.deepEqual(await findPorts(db, { k: 'v' }), []);
    assert.equal((await findPorts(db, { k: 'w' }))[0]?.name, 'p1');
    await ovs.vsctl('del-port', 'p1');
    await db.until((replica) => (replica.port('p1') === undefined ? true : undefined), { timeout: 1000, what: 'the end of p1' });
    assert.deepEqual(await findPorts(db, { k: 'w' }), []);
  });

  it('survive a restart of ovsdb-server, for us too', async () => {
    const { ofport } = await addPort(db, { bridge: 'br0', name: 'p0', externalIds: { k: 'v' } });
    await ovs.ovsdb.stop();
    const during = findPorts(db, { k: 'v' });
    await ovs.ovsdb.start();
    assert.equal((await during)[0]?.name, 'p0');
    assert.equal((await findPorts(db, { k: 'v' }))[0]?.ofport, ofport);
    await addPort(db, { bridge: 'br0', name: 'p1', externalIds: {} });
    assert.deepEqual(await removePorts(db, ['p0', 'p1']), ['p0', 'p1']);
  });

  it('are Unavailable without ovs-vswitchd, leave nothing, and can still be found and removed', async () => {
    await addPort(db, { bridge: 'br0', name: 'p0', externalIds: { k: 'v' } });
    await ovs.stopVswitchd();
    const failed = addPort(db, { bridge: 'br0', name: 'p1', externalIds: {}, timeoutMs: 300 });
    await assert.rejects(failed, unavailable(/ovs-vswitchd does not answer: port p1 of bridge br0/));
    assert.equal(await ovs.vsctl('--no-wait', 'list-ports', 'br0'), 'p0');
    assert.equal((await findPorts(db, { k: 'v' })).length, 1);
    assert.deepEqual(await removePorts(db, ['p0']), ['p0']);
    await ovs.startVswitchd();
  });

  it('are Unavailable without ovsdb-server', async () => {
    await using impatient = openOvsdb(ovs.address, { log, patience: 200 });
    await findPorts(impatient, {});
    await ovs.stop();
    await assert.rejects(removePorts(impatient, ['p0']), unavailable(/db\.sock/));
    await ovs.start();
    assert.equal((await findBridge(db, 'br0'))?.name, 'br0');
  });

  it('of many calls that remove them at the same time go in few transactions, and each call learns of its own', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `t${index}`);
    await makeLinks(ovs, names);
    await Promise.all(names.map((name) => addPort(db, { bridge: 'br0', name, externalIds: {} })));
    let transactions = 0;
    const counted: Ovsdb = Object.assign(Object.create(db), {
      transact: async (...operations: Parameters<Ovsdb['transact']>) => {
        transactions++;
        return await db.transact(...operations);
      },
    });
    const remove = removingTogether();
    const removed = await Promise.all([...names, 'gone'].map((name) => remove(counted, [name])));
    assert.deepEqual(removed, [...names.map((name) => [name]), []]);
    assert.ok(transactions <= 2, `${transactions} transactions`);
    assert.equal(await ovs.vsctl('list-ports', 'br0'), '');
  });

  it('come 100 at once over one connection, each with an ofport of its own', async () => {
    const names = Array.from({ length: 100 }, (_, index) => `m${index}`);
    await makeLinks(ovs, names);
    const ports = await Promise.all(names.map((name) => addPort(db, { bridge: 'br0', name, externalIds: { many: 'yes' } })));
    assert.equal(new Set(ports.map(({ ofport }) => ofport)).size, 100);
    assert.equal((await findPorts(db, { many: 'yes' })).length, 100);
    assert.deepEqual(await removePorts(db, names), names);
    assert.equal(await ovs.vsctl('list-ports', 'br0'), '');
  });
});

describe('bridges of a real Open vSwitch', () => {
  let ovs: Ovs;
  let db: Ovsdb;
  connected((given) => {
    ({ ovs, db } = given);
  });
  afterEach(() => ovs.reset());

  it('are found with their datapath type, or not at all', async () => {
    assert.equal(await findBridge(db, 'br0'), undefined);
    await ovs.addBridge('br0');
    assert.deepEqual(await findBridge(db, 'br0'), { name: 'br0', datapathType: 'netdev' });
  });

  it('give their ports the MTU that an admin asked for, else that of the smallest uplink, whatever pods they have', async () => {
    const mtus = { up0: 9000, up1: 4000, pod0: 1300, pod1: 1300, pod2: 1300, other: 1300 };
    for (const [name, mtu] of Object.entries(mtus))
      await run('ip', ['-n', ovs.netns, 'link', 'add', name, 'mtu', String(mtu), 'type', 'veth', 'peer', `${name}p`]);
    await ovs.addBridge('br0');
    await ovs.addBridge('br1');
    await ovs.vsctl('add-port', 'br1', 'other');
    const marks = {
      pod0: 'Interface pod0 external_ids:owner=smartnic.io',
      pod1: 'Interface pod1 external_ids:iface-id=a',
      pod2: 'Port pod2 external_ids:owner=ovs-cni.network.kubevirt.io',
    };
    for (const [name, mark] of Object.entries(marks)) await ovs.vsctl('add-port', 'br0', name, '--', 'set', ...mark.split(' '));
    await ovs.vsctl('wait-until', 'Interface', 'br0', 'mtu=1300');
    assert.equal(await findDefaultMtu(db, 'br0', 'smartnic.io'), undefined);
    await ovs.vsctl('add-bond', 'br0', 'bond0', 'up0', 'up1');
    assert.equal(await findDefaultMtu(db, 'br0', 'smartnic.io'), 4000);
    await ovs.vsctl('set', 'Interface', 'br0', 'mtu_request=2000');
    assert.equal(await findDefaultMtu(db, 'br0', 'smartnic.io'), 2000);
    assert.equal(await findDefaultMtu(db, 'nowhere', 'smartnic.io'), undefined);
    for (const name of Object.keys(mtus)) await run('ip', ['-n', ovs.netns, 'link', 'del', name]);
  });

  it('are made once, also by two at the same time', async () => {
    await Promise.all([createBridge(db, 'br2', { datapathType: 'netdev' }), createBridge(db, 'br2', { datapathType: 'netdev' })]);
    assert.deepEqual(await findBridge(db, 'br2'), { name: 'br2', datapathType: 'netdev' });
    assert.equal(await ovs.vsctl('list-br'), 'br2');
    assert.equal(await ovs.vsctl('get', 'Interface', 'br2', 'type', 'ofport'), 'internal\n65534');
  });

  it('are removed again when their datapath is not there', async () => {
    await assert.rejects(createBridge(db, 'br3', { timeoutMs: 300 }), unavailable(/datapath/));
    assert.equal(await ovs.vsctl('list-br'), '');
  });

  it('are not made over a port of their name', async () => {
    await ovs.addBridge('br0');
    await ovs.vsctl('add-port', 'br0', 'x0', '--', 'set', 'Interface', 'x0', 'type=internal');
    await assert.rejects(createBridge(db, 'x0'), /bridge x0: Open vSwitch has a port of that name/);
  });
});

describe('ovs-vswitchd', () => {
  before(skipWithoutOvs);

  it('runs when it answers, does not when it was stopped, and is not disturbed by the question while it starts', async () => {
    await using ovs = await startOvs();
    await using db = openOvsdb(ovs.address, { log });
    assert.equal(await vswitchdRunning(db), true);
    await ovs.stopVswitchd();
    assert.equal(await vswitchdRunning(db, { timeoutMs: 200 }), false);
    let asking = true;
    const questions = (async () => {
      while (asking) await Promise.all([0, 1].map(() => vswitchdRunning(db, { timeoutMs: 20 })));
    })();
    for (let restart = 0; restart < 10; restart++) {
      await ovs.startVswitchd();
      await ovs.stopVswitchd();
    }
    await ovs.startVswitchd();
    asking = false;
    await questions;
    assert.equal(await vswitchdRunning(db), true);
    assert.doesNotMatch(await readFile(join(ovs.dir, 'ovs-vswitchd.log'), 'utf8'), /\|(ERR|EMER)\|/);
  });

  it('does not run, for us, while it hangs', async () => {
    await using ovs = await startOvs();
    await using db = openOvsdb(ovs.address, { log });
    ovs.pauseVswitchd();
    assert.equal(await vswitchdRunning(db, { timeoutMs: 200 }), false);
    ovs.resumeVswitchd();
    assert.equal(await vswitchdRunning(db), true);
  });
});

describe('a real ovsdb-server', () => {
  before(skipWithoutOvs);

  it('is silent and dead for us while it hangs, and alive again after that', async () => {
    await using ovs = await startOvs();
    await using db = openOvsdb(ovs.address, { log, probe: 200, patience: 300 });
    await db.replica();
    ovs.ovsdb.pause();
    await assert.rejects(db.transact([{ op: 'comment', comment: 'a' }]), Unavailable);
    ovs.ovsdb.resume();
    await sleep(50);
    await db.transact([{ op: 'comment', comment: 'a' }]);
  });

  it('gives to who has an owner his own interfaces, also those that become his, and what Open vSwitch makes', async () => {
    await using server = await startOvsdbServer();
    await using db = openOvsdb(server.address, { log, owner: 'me' });
    const names = async () => [...(await db.replica()).interfaces()].map(({ name }) => name).toSorted();
    const vsctl = (...args: readonly string[]) => server.vsctl('--no-wait', ...args);
    await vsctl('add-br', 'br0');
    for (const port of ['mine', 'other', 'nobodys', 'vhost']) await vsctl('add-port', 'br0', port);
    await vsctl('set', 'Interface', 'mine', 'external_ids:owner=me', 'external_ids:more=x');
    await vsctl('set', 'Interface', 'other', 'external_ids:owner=another');
    await vsctl('set', 'Interface', 'vhost', 'type=dpdkvhostuserclient');
    assert.deepEqual(await names(), ['br0', 'mine', 'vhost']);
    assert.deepEqual(await removePorts(db, ['other']), ['other'], 'ports are known, whoever owns their interface');
    await vsctl('set', 'Interface', 'nobodys', 'external_ids:owner=me');
    await vsctl('remove', 'Interface', 'mine', 'external_ids', 'owner');
    await until(async () => (await names()).join() === 'br0,nobodys,vhost', 'the change of owners');
    assert.deepEqual(
      (await findPorts(db, { owner: 'me' })).map(({ bridge, name }) => [bridge, name]),
      [['br0', 'nobodys']],
    );
  });

  it('speaks tcp:', async () => {
    await using server = await startOvsdbServer({ args: ['--remote=ptcp:0:127.0.0.1'] });
    await using db = openOvsdb(`tcp:127.0.0.1:${await server.port()}`, { log });
    await addsBridgeOf(server, db);
  });

  it('speaks ssl: with the CA given, and all else is refused with a reason', async () => {
    await using server = await startOvsdbServer({
      prepare: makeCertificates,
      args: ['--remote=pssl:0:127.0.0.1', ...serverFiles],
    });
    const address = `ssl:127.0.0.1:${await server.port()}`;
    const file = (name: string) => join(server.dir, name);
    const own = { key: file('client.key'), cert: file('client.crt') };
    await using db = openOvsdb(address, { log, tls: { ...own, ca: file('ca.crt') } });
    await addsBridgeOf(server, db);

    const refused = async (tls: TlsFiles, words: RegExp) => {
      await using other = openOvsdb(address, { log, tls, patience: 500 });
      await assert.rejects(other.replica(), unavailable(words));
    };
    await refused({ ...own, ca: file('client.crt') }, /unable to|self-signed/);
    await refused(own, /unable to|self-signed/);
    await refused({ ca: file('ca.crt') }, /certificate|closed/);
    await refused({ ...own, ca: file('missing.crt') }, /ENOENT.*missing\.crt/);
  });
});

async function addsBridgeOf(server: OvsdbServer, db: Ovsdb): Promise<void> {
  const replica = await db.replica();
  assert.equal(replica.bridge('br0'), undefined);
  await db.transact(createBridgeOperations('br0', 'netdev'));
  assert.equal(replica.bridge('br0')?.datapath_type, 'netdev');
  assert.equal(await server.vsctl('--no-wait', 'list-br'), 'br0');
}

const serverFiles = ['--private-key=DIR/server.key', '--certificate=DIR/server.crt', '--ca-cert=DIR/ca.crt'];

/** A CA, and a key and a certificate for either side: named after roles, not hosts, as Open vSwitch's own PKI does. */
async function makeCertificates(dir: string): Promise<void> {
  const openssl = (...args: readonly string[]) => program('openssl', args);
  const file = (name: string) => join(dir, name);
  const key = (name: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file(name)];
  await openssl('req', '-x509', ...key('ca.key'), '-out', file('ca.crt'), '-days', '2', '-subj', '/CN=test CA');
  for (const role of ['server', 'client']) {
    await openssl('req', ...key(`${role}.key`), '-out', file('csr'), '-subj', `/CN=${role}`);
    const ca = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial'];
    await openssl('x509', '-req', '-in', file('csr'), ...ca, '-out', file(`${role}.crt`), '-days', '2');
  }
}

/** Ethernet pairs in the namespace of the OVS, the near ends named. */
async function makeLinks({ netns }: Ovs, names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    await program('ip', [
      '-n',
      netns,
      'link',
      'add',
      'name',
      name,
      'type',
      'veth',
      'peer',
      'name',
      `peer${index}-${names.length}`,
    ]);
    await program('ip', ['-n', netns, 'link', 'set', 'dev', name, 'up']);
  }
}

const unavailable = (words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Unavailable, String(error));
  assert.match(error.message, words);
  return true;
};
