// The guest as a node with a forwarder: our supervisor of dpdk-testpmd relays as it ships, consumers in pods, and neighbours on the bridge
// that ping them. For virtio-forwarder tests on the machine of direct-machine.ts.
import { socketPlace } from '../../vnic/virtio-forwarder.ts';
import { type DirectMachine, type LabPod, virtio } from './direct-machine.ts';
import type { Lab } from './lab.ts';

export interface LabForwarder {
  /** A program in the pod that serves its socket and answers ARP and echo requests. Its pid. */
  consume(pod: LabPod, mac: string): Promise<string>;
  /** The relays' pids. */
  relays(): Promise<string>;
  /** What a pod with a relay may leave: processes, records, wanted pairs, and everything in sockets' directories. */
  left(): Promise<string>;
  /** Ends the supervisor and nothing else, as a crash would. */
  kill(): Promise<void>;
  /** A supervisor runs again. */
  start(): Promise<void>;
}

const settings = `logLevel: debug
kubernetes: { disabled: true }
forwarder: { kind: testpmd, mainCore: 0, workerCores: [1], memory: 64, program: /share/testpmd }
`;

/** The supervisor runs, and the CNI server uses it. Until the guest ends. */
export async function startForwarder({ lab, node }: Pick<DirectMachine, 'lab' | 'node'>): Promise<LabForwarder> {
  await lab.sh('cat >/etc/smartnic/config.yaml', { input: settings });
  // testpmd polls, and would take one of the two CPUs away from everything else.
  await lab.sh(`printf '#!/bin/sh\\nexec nice -n 19 /usr/bin/dpdk-testpmd "$@"\\n' >/share/testpmd && chmod +x /share/testpmd`);
  const start = async () => {
    await lab.sh('setsid /smartnic/dist/smartnic-forwarder.mjs </dev/null >>/share/forwarder.log 2>&1 &');
    await lab.sh('for tries in $(seq 300); do [ -S /run/smartnic/forwarder/supervisor.sock ] && exit 0; sleep 0.1; done; exit 1');
  };
  await start();
  await node.restart('cni');
  return {
    consume: async ({ netnsName, given }, mac) => {
      const [device = ''] = given.find(({ resource }) => resource === virtio)?.ids ?? [];
      return await startConsumer(lab, { netns: netnsName, device, mac });
    },
    relays: async () => await lab.sh(`pgrep -f '^/usr/bin/dpdk-testpmd .*client=1' || true`),
    left: async () =>
      await lab.sh(`
        pgrep -a dpdk-testpmd
        find /run/smartnic/forwarder/relays /var/lib/smartnic/forwarder /run/smartnic/vhost ! -type d
        exit 0
      `),
    kill: async () => {
      await lab.sh(`
        pkill -KILL -f smartnic-forwarder.mjs
        while pgrep -f smartnic-forwarder.mjs >/dev/null; do sleep 0.05; done
        rm -f /run/smartnic/forwarder/supervisor.sock
      `);
    },
    start,
  };
}

async function startConsumer(
  lab: Lab,
  { netns, device, mac }: Readonly<Record<'netns' | 'device' | 'mac', string>>,
): Promise<string> {
  const { hostPath } = socketPlace(device);
  const testpmd = `nice -n 19 dpdk-testpmd --lcores 0@0,1@0 --no-pci --no-huge --no-shconf -m 64 --no-telemetry \
    --vdev net_virtio_user0,path=${hostPath},server=1,mac=${mac} -- --forward-mode=icmpecho --nb-cores=1 --total-num-mbufs=2048 \
    --no-numa --disable-link-check --stats-period=65534`;
  return await lab.sh(`
    ip netns exec ${netns} setsid ${testpmd} </dev/null >/tmp/consumer-${netns}.log 2>&1 &
    for tries in $(seq 600); do [ -S ${hostPath} ] && break; sleep 0.1; done
    [ -S ${hostPath} ] || { cat /tmp/consumer-${netns}.log >&2; exit 1; }
    pgrep -f '^dpdk-testpmd .*path=${hostPath},'
  `);
}

/**
 * The PF's switch sends to the PF only frames for the PF's own address. It must be told which other addresses are behind the PF's bridge, as on
 * every bridged PF.
 */
export async function reachBehind(lab: Lab, pf: string, mac: string): Promise<void> {
  await lab.sh(`bridge fdb add ${mac} dev ${pf} self`);
}

/**
 * Tells the bridge where an address is. The emulated cards give a port back the multicasts that it sent, and the bridge would learn their
 * sender there, as if it had moved behind the card; a real card keeps them.
 */
export async function pin(
  lab: Lab,
  port: string,
  { mac, vlan = 0, bridge = 'br0' }: { readonly mac: string; readonly vlan?: number; readonly bridge?: string },
): Promise<void> {
  await lab.sh(`ovs-appctl fdb/add ${bridge} ${port} ${vlan} ${mac}`);
}

/** Echo requests, five a second: how many were answered. */
export async function ping(lab: Lab, netns: string, address: string, count: number): Promise<number> {
  const said = await lab.sh(`ip netns exec ${netns} ping -n -q -i 0.2 -W 5 -c ${count} ${address} || true`, { timeout: 120 });
  return Number(/(\d+) received/.exec(said)?.[1] ?? 0);
}

/** Milliseconds until one is answered; it may take a minute. */
export async function untilAnswered(lab: Lab, netns: string, address: string): Promise<number> {
  const began = performance.now();
  await lab.sh(
    `for tries in $(seq 120); do ip netns exec ${netns} ping -n -q -W 1 -c 1 ${address} >/dev/null && exit 0; done; exit 1`,
    {
      timeout: 150,
    },
  );
  return Math.round(performance.now() - began);
}
