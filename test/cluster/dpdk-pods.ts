// Pods whose program is DPDK's testpmd, which answers ARP and echo requests: one drives its VF, one serves its vhost-user socket. The image is
// the forwarder's, which has no shell: Node reads what the device plugin wrote into the environment.
import { imageName } from '../../tools/image/names.ts';
import type { Cluster } from './cluster.ts';
import type { pod } from './pods.ts';

type Pod = ReturnType<typeof pod>;

/** testpmd polls, and takes all the CPU time that it may have, of a machine that is slow already. */
const share = { requests: { cpu: '10m' }, limits: { cpu: '200m' } };

/** Drives the VF of `smartnic.io/direct` by vfio-pci, with hugepages. */
export function vfioDriven(made: Pod): object {
  const [{ resources: { limits } = {} } = {}] = made.spec.containers;
  return withContainer(made, {
    command: testpmd(`['--in-memory', '-m', '64', '-a', address]`),
    resources: { ...share, limits: { ...share.limits, ...limits, 'hugepages-2Mi': '128Mi', memory: '256Mi' } },
    // The VF's DMA locks the program's memory, beyond what a runtime lets a container lock.
    securityContext: { runAsUser: 0, capabilities: { add: ['IPC_LOCK'] } },
  });
}

/** Serves the socket of `smartnic.io/virtio-forwarder`. @param mac - of its virtio device: the port's. */
export function socketServing(made: Pod, mac: string): object {
  const [{ resources: { limits } = {} } = {}] = made.spec.containers;
  const device = `net_virtio_user0,path=/var/run/smartnic/\${address}/vhost.sock,server=1,mac=${mac}`;
  return withContainer(made, {
    command: testpmd(`['--no-huge', '--no-shconf', '-m', '64', '--no-pci', '--vdev', \`${device}\`]`),
    resources: { ...share, limits: { ...share.limits, ...limits } },
    securityContext: { runAsUser: 0 },
  });
}

/** On the node's second CPU, beside the relay. @param eal - a list in JavaScript, which may use the VF's `address`. */
function testpmd(eal: string): readonly string[] {
  const options =
    '--forward-mode=icmpecho --nb-cores=1 --total-num-mbufs=2048 --no-numa --disable-link-check --stats-period=65534';
  const script = `
    const [, address] = Object.entries(process.env).find(([name]) => /^PCIDEVICE_.*(?<!_INFO)$/.test(name));
    const eal = ['--lcores', '0@1,1@1', '--no-telemetry', ...${eal}];
    const env = Object.entries(process.env).map((each) => each.join('='));
    console.log(JSON.stringify({ env, vfio: fs.existsSync('/dev/vfio') ? fs.readdirSync('/dev/vfio').sort() : [] }));
    const child = require('node:child_process').spawn('dpdk-testpmd', [...eal, '--', ...'${options}'.split(' ')], { stdio: 'inherit' });
    child.on('exit', (code) => process.exit(code ?? 1));
    process.on('SIGTERM', () => child.kill('SIGKILL'));
  `;
  return ['node', '-e', script];
}

/** The pod with these keys of its one container changed. */
function withContainer(made: Pod, changes: object): object {
  const containers = made.spec.containers.map((each) => ({ ...each, image: imageName('smartnic-forwarder'), ...changes }));
  return { ...made, spec: { ...made.spec, containers } };
}

/** The first line that they print: what their container has. */
export interface Facts {
  /** `NAME=value` */
  readonly env: readonly string[];
  /** Files of /dev/vfio. */
  readonly vfio: readonly string[];
}

export async function factsOf(cluster: Cluster, name: string): Promise<Facts> {
  const [first = ''] = (await cluster.kubectl('-n', 'test', 'logs', name)).split('\n');
  return JSON.parse(first);
}
