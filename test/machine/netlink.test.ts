// rtnetlink against the real kernel, in namespaces of our own. `ip` reads back what was done.
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { type Netns, openNetns } from '../../host/kernel/netns.ts';
import { type Netlink, openNetlink } from '../../host/netlink/netlink.ts';
import { makeNetns, type TestNetns } from '../support/netns.ts';

const mac = '0a:58:0a:00:00:05';
const peerMac = '0a:58:0a:00:00:06';

describe('rtnetlink', () => {
  const home = readlinkSync('/proc/self/ns/net');
  let cleanup: AsyncDisposableStack;
  let host: TestNetns;
  let pod: TestNetns;
  let podNetns: Netns;
  let inHost: Netlink;
  let inPod: Netlink;

  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    host = cleanup.use(await makeNetns());
    pod = cleanup.use(await makeNetns());
    podNetns = cleanup.use(openNetns(pod.path));
    using hostNetns = openNetns(host.path);
    inHost = cleanup.use(openNetlink(hostNetns));
    inPod = cleanup.use(openNetlink(podNetns));
  });

  afterEach(async () => {
    await cleanup.disposeAsync();
    assert.equal(readlinkSync('/proc/self/ns/net'), home, 'the process left its namespace');
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), home, 'the main thread left its namespace');
  });

  const pair = (name: string, ifname: string) => ({
    name,
    mtu: 9000,
    peer: { name: ifname, mac: peerMac, mtu: 1400, netns: podNetns },
  });

  it('bears a veth with its peer in the pod, both with name, MAC and MTU', async () => {
    const made = await inHost.createVeth({ ...pair('sn1234', 'eth0'), mac, alias: 'pod a/b' });
    const [hostEnd] = rows(await host.ip('link', 'show', 'dev', 'sn1234'));
    const [podEnd] = rows(await pod.ip('link', 'show', 'dev', 'eth0'));
    assert.deepEqual(pick(hostEnd, 'ifname', 'address', 'mtu', 'ifalias', 'inet6_addr_gen_mode', 'operstate'), {
      ifname: 'sn1234',
      address: mac,
      mtu: 9000,
      ifalias: 'pod a/b',
      inet6_addr_gen_mode: 'none',
      operstate: 'DOWN',
    });
    assert.deepEqual(pick(podEnd, 'ifname', 'address', 'mtu'), { ifname: 'eth0', address: peerMac, mtu: 1400 });
    assert.equal(made.peerIndex, podEnd?.['ifindex']);
    assert.deepEqual(await inHost.link('sn1234'), made);
    assert.deepEqual(await inHost.link(made.index), made);
    assert.equal((await inPod.link('eth0'))?.peerIndex, made.index);
    assert.deepEqual(
      (await inPod.links()).map(({ name }) => name),
      ['lo', 'eth0'],
    );
  });

  it('makes a veth too small for IPv6, which has no address generation to switch off', async () => {
    const made = await inHost.createVeth({ ...pair('sn1234', 'eth0'), mtu: 1000, alias: 'small' });
    assert.equal((await inHost.link(made.index))?.alias, 'small');
  });

  it('says which name is taken when one is, and leaves nothing behind', async () => {
    await inHost.createVeth(pair('sn1', 'eth0'));
    await assert.rejects(inHost.createVeth(pair('sn2', 'eth0')), {
      code: 'EEXIST',
      message: `create veth "sn2" with peer "eth0" in ${pod.path} in ${host.path}: EEXIST File exists; there is already a link "eth0" in ${pod.path}`,
    });
    await assert.rejects(inHost.createVeth(pair('sn1', 'eth1')), { code: 'EEXIST', message: /there is already a link "sn1"$/ });
    assert.deepEqual(
      (await inHost.links()).map(({ name }) => name),
      ['lo', 'sn1'],
    );
    assert.deepEqual(
      (await inPod.links()).map(({ name }) => name),
      ['lo', 'eth0'],
    );
  });

  it('leaves the alias of a link alone whose name it could not take', async () => {
    await inHost.createVeth({ ...pair('sn1', 'eth0'), alias: 'first' });
    await assert.rejects(inHost.createVeth({ ...pair('sn1', 'eth1'), alias: 'second' }));
    assert.equal((await inHost.link('sn1'))?.alias, 'first');
  });

  it('tells what was asked for when the kernel refuses it without a word', async () => {
    await assert.rejects(
      inHost.createVeth({ ...pair('sn1', 'eth0'), mtu: 99_999 }),
      /EINVAL Invalid argument; asked for MAC any and MTU 99999/,
    );
  });

  it('refuses a name that no link can have before it asks the kernel', async () => {
    await assert.rejects(inHost.link('a-name-of-16-chr'), /"a-name-of-16-chr" cannot be a link's name/);
    await assert.rejects(inHost.createVeth(pair('a/b', 'eth0')), RangeError);
  });

  it('deletes a link once; the second time it was not there', async () => {
    const { index } = await inHost.createVeth(pair('sn1', 'eth0'));
    assert.equal(await inHost.deleteLink('sn1'), true);
    assert.equal(await inHost.deleteLink('sn1'), false);
    assert.equal(await inHost.deleteLink(index), false);
    assert.equal(await inHost.link('sn1'), undefined);
    assert.equal(await inPod.link('eth0'), undefined);
  });

  it('changes a link: up, MTU, MAC, name, alias', async () => {
    const { index } = await inHost.createVeth(pair('sn1', 'eth0'));
    await inHost.setLink(index, { up: true, mtu: 2000, mac, name: 'sn2', alias: 'x' });
    const link = await inHost.link(index);
    assert.deepEqual(link && pick(link, 'name', 'mtu', 'mac', 'up', 'alias'), {
      name: 'sn2',
      mtu: 2000,
      mac,
      up: true,
      alias: 'x',
    });
    await inHost.setLink(index, { up: false });
    assert.equal((await inHost.link(index))?.up, false);
    await assert.rejects(inHost.setLink(index, { mtu: 70_000 }), {
      code: 'EINVAL',
      message: `set link ${index} to mtu 70000 in ${host.path}: EINVAL Invalid argument (kernel: mtu greater than device maximum)`,
    });
  });

  it('tells the further names of a link and what somebody had it do, and takes names and alias away', async () => {
    const { index, extras, altNames } = await inHost.createVeth({ ...pair('sn1', 'eth0'), alias: 'old' });
    assert.deepEqual([extras, altNames], [undefined, undefined]);
    await host.ip('link', 'property', 'add', 'dev', 'sn1', 'altname', 'one', 'altname', 'two', 'altname', 'three');
    await host.ip('link', 'set', 'dev', 'sn1', 'promisc', 'on', 'allmulticast', 'on');
    const told = await inHost.link('two');
    assert.deepEqual(
      [told?.name, told?.altNames, told?.extras],
      ['sn1', ['one', 'two', 'three'], ['promiscuous', 'allmulticast']],
    );
    await inHost.removeAltNames(index, ['one', 'three']);
    await inHost.setLink(index, { alias: '' });
    const left = await inHost.link(index);
    assert.deepEqual([left?.altNames, left?.alias], [['two'], undefined]);
    await assert.rejects(inHost.removeAltNames(index, ['never']), /take the names never from link \d+ in .*: E/);
  });

  it('moves a link into another namespace under a new name', async () => {
    const { index } = await inHost.createVeth(pair('sn1', 'eth0'));
    await inHost.setLink(index, { netns: podNetns, name: 'eth9' });
    assert.equal(await inHost.link('sn1'), undefined);
    assert.equal((await inPod.link('eth9'))?.kind, 'veth');
  });

  it('configures a dual-stack interface in one send, as `ip` reads it back', async () => {
    const { peerIndex = 0 } = await inHost.createVeth(pair('sn1', 'eth0'));
    await inPod.configure(peerIndex, {
      up: true,
      addresses: [{ cidr: '10.0.0.5/24' }, { cidr: '2001:db8::5/64', noDad: true }],
      routes: [
        { gateway: '10.0.0.1', mtu: 1300, advmss: 1200 },
        { gateway: '2001:db8::1' },
        { dst: '10.9.0.0/16', table: 1000, priority: 7 },
        { dst: '192.0.2.0/24', gateway: '203.0.113.1', onlink: true },
      ],
    });
    const [link] = rows(await pod.ip('address', 'show', 'dev', 'eth0'));
    const given = rows(link?.['addr_info']).filter(({ scope }) => scope === 'global');
    assert.deepEqual(
      given.map((one) => pick(one, 'local', 'prefixlen', 'broadcast', 'nodad')),
      [
        { local: '10.0.0.5', prefixlen: 24, broadcast: '10.0.0.255', nodad: undefined },
        { local: '2001:db8::5', prefixlen: 64, broadcast: undefined, nodad: true },
      ],
    );
    const routes = [...rows(await pod.ip('-4', 'route', 'show', 'table', 'all')), ...rows(await pod.ip('-6', 'route', 'show'))];
    const to = (dst: string) => routes.find((route) => route['dst'] === dst && route['type'] === 'unicast') ?? {};
    assert.deepEqual(pick(to('default'), 'gateway', 'dev', 'metrics'), {
      gateway: '10.0.0.1',
      dev: 'eth0',
      metrics: [{ mtu: 1300, advmss: 1200 }],
    });
    assert.deepEqual(pick(to('10.9.0.0/16'), 'table', 'metric', 'scope'), { table: '1000', metric: 7, scope: 'link' });
    assert.deepEqual(pick(to('192.0.2.0/24'), 'gateway'), { gateway: '203.0.113.1' });
    assert.match(JSON.stringify(to('192.0.2.0/24')['flags']), /"onlink"/);
    assert.ok(routes.some(({ dst, gateway }) => dst === 'default' && gateway === '2001:db8::1'));
  });

  it('lists addresses and routes as they were given', async () => {
    const { peerIndex = 0 } = await inHost.createVeth(pair('sn1', 'eth0'));
    await inPod.configure(peerIndex, { up: true });
    await inPod.addAddress(peerIndex, '10.0.0.5/24');
    await inPod.addAddress(peerIndex, '2001:db8::5/64', { noDad: true });
    await inPod.addRoute({ oif: peerIndex, gateway: '10.0.0.1', mtu: 1300, priority: 9 });
    await inPod.addRoute({ oif: peerIndex, gateway: '2001:db8::1', table: 300 });
    assert.deepEqual(await inPod.addresses(peerIndex), [
      { index: peerIndex, family: 4, cidr: '10.0.0.5/24', tentative: false, duplicate: false },
      { index: peerIndex, family: 6, cidr: '2001:db8::5/64', tentative: false, duplicate: false },
    ]);
    const routes = await inPod.routes({ oif: peerIndex });
    const base = { family: 4, oif: peerIndex, scope: 0, onlink: false };
    assert.deepEqual(
      routes.filter(({ gateway }) => gateway !== undefined).toSorted((a, b) => a.family - b.family),
      [
        { ...base, dst: '0.0.0.0/0', gateway: '10.0.0.1', priority: 9, table: 254, mtu: 1300 },
        { ...base, family: 6, dst: '::/0', gateway: '2001:db8::1', priority: 1024, table: 300 },
      ],
    );
    assert.ok((await inPod.routes({ family: 6 })).every(({ family }) => family === 6));
    assert.ok(routes.some(({ dst, src }) => dst === '10.0.0.0/24' && src === '10.0.0.5'));
  });

  it('removes an address once, and says that a removed link has none', async () => {
    const { peerIndex = 0 } = await inHost.createVeth(pair('sn1', 'eth0'));
    await inPod.addAddress(peerIndex, '10.0.0.5/24');
    await inPod.addAddress(peerIndex, '2001:db8::5/64');
    assert.equal(await inPod.removeAddress(peerIndex, '10.0.0.5/24'), true);
    assert.equal(await inPod.removeAddress(peerIndex, '10.0.0.5/24'), false);
    assert.equal(await inPod.removeAddress(peerIndex, '2001:db8::5/64'), true);
    await inHost.deleteLink('sn1');
    assert.equal(await inPod.removeAddress(peerIndex, '10.0.0.5/24'), false);
    await assert.rejects(inPod.addresses(peerIndex), { code: 'ENODEV' });
  });

  it("passes on the kernel's own words about a route and an address", async () => {
    const { peerIndex = 0 } = await inHost.createVeth(pair('sn1', 'eth0'));
    await inPod.configure(peerIndex, { up: true, addresses: [{ cidr: '10.0.0.5/24' }] });
    await assert.rejects(inPod.addRoute({ oif: peerIndex, dst: '10.9.0.0/16', gateway: '7.7.7.7' }), {
      code: 'ENETUNREACH',
      message: `add route 10.9.0.0/16 via 7.7.7.7 by link ${peerIndex} in ${pod.path}: ENETUNREACH Network is unreachable (kernel: Nexthop has invalid gateway)`,
    });
    await assert.rejects(inPod.addAddress(peerIndex, '10.0.0.5/24'), { code: 'EEXIST' });
  });

  it('names the first failure of a configuration, after the kernel tried all of it', async () => {
    const { peerIndex = 0 } = await inHost.createVeth(pair('sn1', 'eth0'));
    const routes = [{ dst: '10.9.0.1/16' }, { gateway: '7.7.7.7' }];
    await assert.rejects(
      inPod.configure(peerIndex, { up: true, addresses: [{ cidr: '10.0.0.5/24' }], routes }),
      /add route 10\.9\.0\.1\/16 by/,
    );
    assert.deepEqual(
      (await inPod.addresses(peerIndex)).filter(({ family }) => family === 4).map(({ cidr }) => cidr),
      ['10.0.0.5/24'],
    );
  });

  it('once disposed lets the running request finish, refuses the rest and gives its descriptor back', async () => {
    using hostNetns = openNetns(host.path);
    const before = readdirSync('/proc/self/fd').length;
    const session = openNetlink(hostNetns);
    const running = session.links();
    await Promise.resolve(); // now it is in the kernel's hands
    session[Symbol.dispose]();
    await assert.rejects(session.links(), { message: `list links in ${host.path}: this netlink session is closed` });
    assert.equal((await running).length, 1);
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });

  it('creates and deletes 100 pairs in parallel over four sessions', async () => {
    using hostNetns = openNetns(host.path);
    using sessions = new DisposableStack();
    const four = [1, 2, 3, 4].map(() => sessions.use(openNetlink(hostNetns)));
    const each = (work: (session: Netlink, n: number) => Promise<unknown>) =>
      Promise.all(Array.from({ length: 100 }, async (_, n) => work(four[n % 4] ?? inHost, n)));
    await each((session, n) => session.createVeth({ ...pair(`sn${n}`, `eth${n}`), alias: `pod ${n}` }));
    const links = await inHost.links();
    assert.equal(links.length, 101);
    for (let n = 0; n < 100; n += 1) assert.equal(links.find(({ name }) => name === `sn${n}`)?.alias, `pod ${n}`);
    assert.equal((await inPod.links()).length, 101);
    const deleted = await each((session, n) => session.deleteLink(`sn${n}`));
    assert.ok(deleted.every((was) => was === true));
    assert.equal((await inPod.links()).length, 1);
  });

  it('keeps the main thread free while the kernel deletes a veth', async () => {
    await inHost.createVeth(pair('sn1', 'eth0'));
    let turns = 0;
    let turning = true;
    const turn = () => {
      turns += 1;
      if (turning) setImmediate(turn);
    };
    turn();
    const start = performance.now();
    const deleted = inHost.deleteLink('sn1').finally(() => {
      turning = false;
    });
    assert.equal(await deleted, true);
    const took = performance.now() - start;
    assert.ok(turns > 50, `the event loop turned only ${turns} times in ${took.toFixed(1)} ms`);
  });
});

type Row = Readonly<Record<string, unknown>>;

function rows(json: unknown): readonly Row[] {
  assert.ok(Array.isArray(json));
  return json;
}

function pick(row: object | undefined, ...keys: readonly string[]): Row {
  const all: Row = { ...row };
  return Object.fromEntries(keys.map((key) => [key, all[key]]));
}
