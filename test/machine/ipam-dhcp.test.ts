// Addresses by DHCP: the IPAM plugin `dhcp` asks through the pod's own interface, so it needs one that is there, up and on its bridge.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { ipamDirectory, network, type TestNode } from '../support/node.ts';
import { pings } from '../support/traffic.ts';
import { until } from '../support/until.ts';

const server = '/usr/sbin/udhcpd';
const serverAddress = '10.66.0.1';

describe('IPAM by DHCP', function () {
  this.timeout(30_000);
  let node: TestNode;
  let undo: AsyncDisposableStack;
  before(function () {
    if (existsSync(server)) return;
    console.log(`      skipped: ${server} is not installed (Debian: udhcpd)`);
    this.skip();
  });
  cleanNode({ settings: 'ipamTimeout: 20\n' }, (given) => {
    ({ node, undo } = given);
  });

  const run = (file: string, ...args: readonly string[]): Daemon => {
    const daemon = startDaemon(file, args, {});
    undo.defer(() => daemon.stop());
    return daemon;
  };

  /** A DHCP server in a pod of its own on the bridge; and the plugin's daemon. */
  const startDhcp = async () => {
    const { pod } = undo.use(await attach(node, network(node, { name: 'servers', ipam: {} })));
    await pod.ip('address', 'add', `${serverAddress}/24`, 'dev', 'eth0');
    const [config, leases] = [join(node.dir, 'udhcpd.conf'), join(node.dir, 'udhcpd.leases')];
    await writeFile(leases, '');
    await writeFile(
      config,
      `interface eth0\nstart 10.66.0.50\nend 10.66.0.60\nlease_file ${leases}\npidfile ${node.dir}/udhcpd.pid\noption subnet 255.255.255.0\noption router ${serverAddress}\noption lease 600\n`,
    );
    run('ip', 'netns', 'exec', pod.name, server, '-f', config);
    const socket = join(node.dir, 'dhcp.sock');
    run(join(ipamDirectory, 'dhcp'), 'daemon', '-socketpath', socket);
    await until(async () => existsSync(socket), "the plugin's daemon answers");
    return { config: network(node, { ipam: { type: 'dhcp', daemonSocketPath: socket } }), leases };
  };

  it('gives a pod the address that the server leased to its interface', async () => {
    const { config } = await startDhcp();
    for (let count = 0; count < 3; count++) {
      const { ip, pod, check, del } = undo.use(await attach(node, config));
      assert.match(ip, /^10\.66\.0\.(5\d|60)$/);
      assert.ok(await pings(pod, serverAddress));
      succeeded(await check());
      succeeded(await del());
    }
  });
});
