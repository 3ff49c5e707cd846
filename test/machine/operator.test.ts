// The commands for a person, on a real node: with a CNI server, without one, and when something went wrong.
import { equal, match, ok } from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findingIds } from '../../cni/attachment/attachment.ts';
import { run } from '../../tools/program.ts';
import { asShipped } from '../support/as-shipped.ts';
import { attach } from '../support/attached.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';

const top = join(import.meta.dirname, '../..');

describe('for a person', () => {
  let node: TestNode;
  forAllTests(
    () => startNode({ settings: 'kubernetes: { disabled: true }' }),
    (made) => {
      node = made;
    },
  );

  /** In the node's namespace, as root there would; exit status, stdout and stderr. */
  async function smartnic(...args: readonly string[]) {
    const env = {
      SMARTNIC_CONFIG: join(node.dir, 'config.yaml'),
      SMARTNIC_SOCKET: node.socket,
      SMARTNIC_STATE_DIR: node.stateDir,
    };
    const command = [process.execPath, join(top, 'operator/main.ts'), ...args];
    return await run('ip', ['netns', 'exec', node.ovs.netns, ...command], { env, reject: false });
  }
  async function lines(...args: readonly string[]): Promise<readonly string[]> {
    return (await smartnic(...args)).stdout.split('\n');
  }

  /** The external_ids of the Interface as words for `ovs-vsctl set`, of the attachment whose journal entry has that port. */
  async function idsOf(port: string): Promise<readonly string[]> {
    for (const name of await node.journal()) {
      const text = await readFile(join(node.stateDir, 'attachments', name), 'utf8');
      const { attachment } = JSON.parse(text.split('\n')[0] ?? '');
      if (attachment.bridgePort !== port) continue;
      const ids = Object.entries(findingIds(attachment)).map(([key, value]) => `external_ids:${key}=${value}`);
      return ids;
    }
    return [];
  }

  it('`attachments` says that there are none', async () => {
    equal((await smartnic('attachments')).stdout, 'no attachments on this node\n'.trim());
  });

  it('`attachments` shows where each pod interface is plugged, and what is wrong with it', async () => {
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u';
    await using well = await attach(node, network(node), { args });
    await using ill = await attach(node, network(node), { ifname: 'net1' });
    await using dead = await attach(node, network(node), { ifname: 'net2' });
    await node.ovs.vsctl('del-port', 'br0', ill.port);
    await run('ip', ['-n', node.ovs.netns, 'link', 'delete', 'dev', dead.port]);
    const [head = '', first = '', second = '', third = ''] = await lines('attachments');
    match(head, /^POD +INTERFACE +NETWORK +TYPE +BRIDGE +PORT +VF +SINCE +STATE$/);
    match(first, new RegExp(`^default/web +eth0 +tenant-a +normal +br0 +${well.port} +- +20\\S+Z +ok$`));
    match(second, new RegExp(`^${ill.call.containerId.slice(0, 12)} +net1 .* its port is gone; the next sweep puts it back$`));
    match(third, /net2 .* its cable is gone, and so is the pod; the next sweep takes it away$/);
  });

  it('`doctor` and `attachments` show each file of ours that nobody understands, with what to do, and leave it', async () => {
    const relays = join(node.dir, 'relays-of');
    const strange = {
      [join(node.stateDir, 'attachments/0123456789ab.jsonl')]: '{"version":9}\n',
      [join(node.stateDir, 'owners/0000:41:10.0.json')]: '{"generation":3,"owner":"a","since":"of a newer version"}',
      [join(node.stateDir, 'owners/0000:41:10.2.json')]: 'garbage',
      [join(node.stateDir, 'forwarder/0000:41:10.4.json')]: '{"version":2}',
      [join(relays, 'relays/0000:41:10.6.json')]: '{"version":2}',
    };
    const fine = {
      [join(node.stateDir, 'owners/0000:41:11.0.json')]: '{"generation":3,"owner":"a"}',
      [join(relays, 'relays/0000:41:11.0.log')]: 'what dpdk-testpmd said',
    };
    for (const [path, text] of Object.entries({ ...strange, ...fine })) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
    const config = join(node.dir, 'config.yaml');
    const before = await readFile(config, 'utf8');
    await writeFile(config, `${before}\nforwarder: { kind: testpmd, directory: ${relays}, workerCores: [1] }\n`);
    const [doctor, attachments] = [(await smartnic('doctor')).stdout, (await smartnic('attachments')).stdout];
    await writeFile(config, before);
    for (const [path, text] of Object.entries(strange)) {
      const told = path.replaceAll('.', '\\.');
      match(
        doctor,
        new RegExp(`^FAIL +(journal|owners|wanted pairs|relays) +${told}.*\n +-> .*(remove the file|move the file)`, 'm'),
      );
      match(attachments, new RegExp(`^! ${told}.*; .*(remove the file|move the file)`, 'm'));
      equal(await readFile(path, 'utf8'), text);
    }
    for (const path of Object.keys(fine)) ok(!`${doctor}${attachments}`.includes(path));
    for (const path of Object.keys({ ...strange, ...fine })) await rm(path);
  });

  it('`repair` takes away through the running server what is left, and says before what that would be', async () => {
    const left = await attach(node, network(node));
    await run('ip', ['-n', node.ovs.netns, 'link', 'delete', 'dev', left.port]);
    const found = `${left.call.containerId.slice(0, 12)} +eth0 +tenant-a +${left.port} +its cable is gone, and so is the pod$`;
    for (const times of ['once', 'twice'])
      match((await lines('repair', '--dry-run'))[1] ?? times, new RegExp(`^would remove +${found}`));
    equal((await node.journal()).length, 1);
    match((await lines('repair'))[1] ?? '', new RegExp(`^removed +${found}`));
    equal((await smartnic('repair')).stdout, 'nothing is left over');
    await left[Symbol.asyncDispose]();
  });

  it('`repair --dry-run` leaves alone what is just being added', async () => {
    const adding = attach(node, network(node));
    equal((await smartnic('repair', '--dry-run')).stdout, 'nothing is left over');
    await (await adding)[Symbol.asyncDispose]();
  });

  it('without a server: `repair --dry-run` says what its start would do, `repair` says to start it, `attachments` works', async () => {
    await using attached = await attach(node, network(node));
    await node.server.stop('SIGKILL');
    await run('ip', ['-n', node.ovs.netns, 'link', 'delete', 'dev', attached.port]);
    const [first = '', , third = ''] = await lines('repair', '--dry-run');
    match(first, /^no server answers on .*cni\.sock; when it starts:$/);
    match(third, /^would remove .* its cable is gone/);
    const refused = await smartnic('repair');
    equal(refused.exitCode, 1);
    match(refused.stderr, /^smartnic: no server answers on .*cni\.sock\. Start it/);
    match((await lines('attachments'))[1] ?? '', /its cable is gone/);
    equal((await node.journal()).length, 1);
    await node.startServer();
  });

  it('`attachments` says that OVSDB is away, and shows what it knows', async () => {
    await using _ = await attach(node, network(node));
    await node.ovs.ovsdb.stop();
    const [, first = '', problem = ''] = await lines('attachments');
    await node.ovs.ovsdb.start();
    match(first, / added$/);
    match(problem, /^! how ports are is not known: OVSDB server unix:/);
  });

  it('`doctor` finds this node well, where it is, and what it lacks', async () => {
    // An earlier test cut ovs-vswitchd off from its database, so this waits until it is connected again.
    await node.ovs.vsctl('--timeout=15', 'set', 'Open_vSwitch', '.', 'external_ids:back=yes');
    const found = await lines('doctor', '--cni-bin', '/usr/lib/cni');
    const starting = (start: RegExp) => found.filter((line) => start.test(line)).length;
    equal(starting(/^ok +CNI server +answers on .*cni\.sock$/), 1, found.join('\n'));
    equal(starting(/^ok +Open vSwitch +(\d\S+, )?answers on unix:/), 1, found.join('\n'));
    equal(starting(/^ok +bridges +br0 \(netdev\)$/), 1);
    equal(starting(/^ok +IPAM +host-local, static, dhcp in \/usr\/lib\/cni$/), 1);
    equal(starting(/^FAIL +executable +\/usr\/lib\/cni\/smartnic is not there/), 1);
    equal(starting(/^ok +attachments +none on this node$/), 1, found.join('\n'));
    equal(starting(/^ok +IPv6 +can be switched on in pods$/), 1);
    equal(starting(/^WARN +IPAM +dhcp: its daemon does not answer on \/run\/cni\/dhcp\.sock/), 1);
    match(found.at(-1) ?? '', /^1 failed, \d warnings, \d+ ok$/);
  });

  it('`doctor` names the bridge that attachments are on and that is gone, and a dead ovs-vswitchd', async () => {
    await node.ovs.addBridge('br1');
    await using _ = await attach(node, network(node, { bridge: 'br1' }));
    await node.ovs.vsctl('del-br', 'br1');
    match((await lines('doctor')).join('\n'), /^FAIL +bridges +br1, which 1 attachments are on, is gone\n +-> ovs-vsctl add-br/m);
    await node.ovs.stopVswitchd();
    const { stdout, exitCode } = await smartnic('doctor');
    await node.ovs.startVswitchd();
    equal(exitCode, 1);
    match(stdout, /^FAIL +Open vSwitch +ovs-vswitchd does not answer on unix:/m);
  });

  it('`doctor` fails on pods that live and are cut off, by a port or a whole bridge that is gone', async () => {
    await node.ovs.addBridge('br2');
    const args = (name: string) => `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=${name}`;
    await using well = await attach(node, network(node), { args: args('well') });
    await using one = await attach(node, network(node, { bridge: 'br2' }), { args: args('one') });
    await using two = await attach(node, network(node, { bridge: 'br2' }), { args: args('two') });
    const found = async () => (await lines('doctor', '--cni-bin', '/usr/lib/cni')).join('\n');
    match(await found(), /^ok +attachments +3 pod interfaces, all of them plugged$/m);
    // Without a server nobody puts the ports back.
    await node.server.stop('SIGKILL');
    await node.ovs.vsctl('del-br', 'br2');
    match(
      await found(),
      /^FAIL +attachments +2 of 3: its port is gone, and so is its bridge \(default\/one eth0 on br2, default\/two eth0 on br2\)$/m,
    );
    await node.ovs.addBridge('br2');
    match(
      await found(),
      /^FAIL +attachments +2 of 3: its port is gone; the next sweep puts it back \(.*\n +-> these pods live and are cut off/m,
    );
    await node.ovs.vsctl('del-port', 'br0', well.port);
    await node.ovs.vsctl('add-port', 'br2', well.port, '--', 'set', 'Interface', well.port, ...(await idsOf(well.port)));
    match(
      await found(),
      /^FAIL +attachments +1 of 3: its port is on bridge br2, not br0; delete the pod \(default\/well eth0 on br0\)$/m,
    );
    await run('ip', ['-n', node.ovs.netns, 'link', 'delete', 'dev', two.port]);
    match(
      await found(),
      /^WARN +attachments +1 of 3: its cable is gone, and so is the pod; the next sweep takes it away \(default\/two/m,
    );
    await node.startServer();
    equal(one.port === two.port, false);
  });

  it('`doctor` names what an IPAM plugin of a network lacks whose every ADD fails', async () => {
    await using pod = await node.pod();
    const config = network(node, { name: 'leased', ipam: { type: 'dhcp', daemonSocketPath: '/nowhere/dhcp.sock' } });
    equal((await node.cni('ADD', { containerId: containerId(), netns: pod.path, config })).exit, 1);
    match(
      (await lines('doctor', '--cni-bin', '/usr/lib/cni')).join('\n'),
      /^FAIL +IPAM +dhcp: its daemon does not answer on \/nowhere\/dhcp\.sock \(ENOENT\); network leased takes addresses from it\n +-> start "dhcp daemon"/m,
    );
  });

  it('`doctor` fails where IPv6 can not be switched on, as in a container without the mount of /proc/sys/net', async () => {
    const env = {
      SMARTNIC_CONFIG: join(node.dir, 'config.yaml'),
      SMARTNIC_SOCKET: node.socket,
      SMARTNIC_STATE_DIR: node.stateDir,
    };
    const doctor = [process.execPath, join(top, 'operator/main.ts'), 'doctor', '--cni-bin', '/usr/lib/cni'];
    for (const [procSysNet, level] of [
      [true, 'ok'],
      [false, 'FAIL'],
    ] as const) {
      const inContainer = [...asShipped({ writable: [node.dir], procSysNet }), ...doctor];
      const { stdout } = await run('ip', ['netns', 'exec', node.ovs.netns, ...inContainer], { env, reject: false });
      match(stdout, new RegExp(`^${level} +IPv6 `, 'm'));
    }
  });

  it('an unknown word is an error that names the known ones', async () => {
    const { exitCode, stderr } = await smartnic('attachment');
    equal(exitCode, 1);
    equal(stderr, 'smartnic: unknown command "attachment"; known are vfs, explain, attachments, doctor, repair');
  });
});
