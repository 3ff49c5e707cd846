// The commands for a person, on a real node: with a CNI server, without one, and when something went wrong.
import { equal, match } from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { attach } from '../support/attached.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { network, startNode, type TestNode } from '../support/node.ts';

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
    match(found.at(-1) ?? '', /^1 failed, \d warnings, \d ok$/);
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

  it('an unknown word is an error that names the known ones', async () => {
    const { exitCode, stderr } = await smartnic('attachment');
    equal(exitCode, 1);
    equal(stderr, 'smartnic: unknown command "attachment"; known are vfs, explain, attachments, doctor, repair');
  });
});
