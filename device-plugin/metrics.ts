// The device plugin's metrics for Prometheus. They are read from the status at each scrape. Nothing is counted elsewhere.
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { reasons } from '../inventory/health/reasons.ts';
import { inHand } from '../inventory/holdings.ts';
import type { Status } from './plugin.ts';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Metric {
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (status: Status) => readonly Sample[];
}

const metrics: Readonly<Record<string, Metric>> = {
  smartnic_vfs: {
    help: 'VFs or slots of a resource by state: free, allocated (as this resource), taken (as another one), unhealthy.',
    labels: ['resource', 'pool', 'state'],
    read: ({ resources, kubelet }) =>
      resources.flatMap(({ name, pool, units }) => {
        const states = Map.groupBy(units, ({ id, problems }) => {
          const holding = kubelet.holdings.get(id);
          if (problems.length > 0) return 'unhealthy';
          if (holding !== undefined && holding.resource !== name) return 'taken';
          return inHand(holding) === undefined ? 'free' : 'allocated';
        });
        return ['free', 'allocated', 'taken', 'unhealthy'].map((state) => ({
          labels: { resource: name, pool, state },
          value: [...states].find(([key]) => key === state)?.[1].length ?? 0,
        }));
      }),
  },
  smartnic_vf_problems: {
    help: 'VFs or slots of a resource with a problem, by reason; told="false": allocated, so kubelet is not told.',
    labels: ['resource', 'reason', 'told'],
    read: ({ resources, findings }) =>
      resources.flatMap(({ name }) =>
        reasons.flatMap((reason) =>
          [true, false].map((told) => ({
            labels: { resource: name, reason, told: String(told) },
            value: findings.filter((one) => one.resource === name && one.reason === reason && one.told === told).length,
          })),
        ),
      ),
  },
  smartnic_vfs_in_use_by_host: {
    help: 'VFs that no pod has and the host itself uses; they are not offered.',
    labels: [],
    read: ({ inventory }) => [{ labels: {}, value: inventory.nics?.vfs.filter((vf) => vf.inUse.length > 0).length ?? 0 }],
  },
  smartnic_pool_conflicts: {
    help: 'VFs that fit more than one pool; the first pool has them.',
    labels: [],
    read: ({ conflicts }) => [{ labels: {}, value: conflicts.length }],
  },
  smartnic_config_generation: {
    help: 'Configurations taken over since the start.',
    labels: [],
    read: ({ config }) => [{ labels: {}, value: config.generation }],
  },
  smartnic_config_broken: {
    help: '1 while the configuration file is refused.',
    labels: [],
    read: ({ config }) => [{ labels: {}, value: config.problems.length > 0 ? 1 : 0 }],
  },
  smartnic_looks: {
    help: 'Looks at the machine that succeeded since the start.',
    labels: [],
    read: ({ inventory }) => [{ labels: {}, value: inventory.looks }],
  },
  smartnic_look_failed: {
    help: '1 while the last look at the machine failed.',
    labels: [],
    read: ({ inventory }) => [{ labels: {}, value: inventory.problem === undefined ? 0 : 1 }],
  },
  smartnic_look_seconds: {
    help: 'Duration of the last look at the machine.',
    labels: [],
    read: ({ inventory }) => [{ labels: {}, value: inventory.duration / 1000 }],
  },
  smartnic_unread: {
    help: 'Things of the machine that could not be read at the last look.',
    labels: [],
    read: ({ unread }) => [{ labels: {}, value: unread.length }],
  },
  smartnic_kubelet_registered: {
    help: '1 while kubelet streams from the resource.',
    labels: ['resource'],
    read: ({ kubelet }) =>
      kubelet.status.map(({ resource, state }) => ({ labels: { resource }, value: state === 'registered' ? 1 : 0 })),
  },
  smartnic_kubelet_registrations: {
    help: 'How often kubelet took the resource since the start.',
    labels: ['resource'],
    read: ({ kubelet }) => kubelet.status.map(({ resource, registrations }) => ({ labels: { resource }, value: registrations })),
  },
  smartnic_file_problems: {
    help: 'Files and directories for pods that could not be written.',
    labels: [],
    read: ({ fileProblems }) => [{ labels: {}, value: fileProblems.length }],
  },
};

/** Makes a registry whose text always shows the present status. */
export function makeMetrics(status: () => Status): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const [name, { help, labels, read }] of Object.entries(metrics)) {
    const gauge = new Gauge({
      ...{ name, help, labelNames: [...labels], registers: [registry] },
      collect() {
        gauge.reset();
        for (const sample of read(status())) gauge.set({ ...sample.labels }, sample.value);
      },
    });
  }
  return registry;
}
