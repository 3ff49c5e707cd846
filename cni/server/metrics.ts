// The CNI server's metrics for Prometheus. Requests and sweeps are counted when they end. Everything else is read at each scrape.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { within } from '../../host/base/within.ts';
import type { Entry } from '../attachment/entry.ts';
import type { Settings } from '../attachment/settings.ts';
import type { SweepReport } from '../teardown/sweep.ts';
import type { NodeState } from './readiness.ts';

export interface Meter {
  /** @param code - CNI's code, or 0 when it succeeded. */
  request(command: string | undefined, code: number, seconds: number): void;
  swept(report: SweepReport): void;
  readonly contentType: string;
  /** The text of the page. */
  text(): Promise<string>;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Reading {
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (state: NodeState) => readonly Sample[] | Promise<readonly Sample[]>;
}

const readings: Readonly<Record<string, Reading>> = {
  smartnic_cni_attachments: {
    help: 'Pod interfaces in the journal by vnic type and phase: adding, added, deleting (what could not be taken away yet).',
    labels: ['vnic_type', 'phase'],
    read: ({ context }) => countAttachments(context.journal.list()),
  },
  smartnic_cni_config_broken: {
    help: "1 while the node's configuration is refused and the last good one is in force.",
    labels: [],
    read: ({ refused }) => [{ labels: {}, value: refused().length > 0 ? 1 : 0 }],
  },
  smartnic_cni_journal_unreadable: {
    help: 'Entries of the journal that could not be read or are not understood, and are left alone.',
    labels: [],
    read: ({ context }) => [{ labels: {}, value: context.journal.problems().length }],
  },
  smartnic_cni_ovsdb_connected: {
    help: '1 while there is a connection to the OVSDB server.',
    labels: ['address'],
    read: ({ databases }) =>
      databases().map(({ address, problem }) => ({ labels: { address }, value: problem === undefined ? 1 : 0 })),
  },
  smartnic_cni_pods_watched: {
    help: "1 while this node's pods can be asked for; 0 also where no API server is configured.",
    labels: [],
    read: ({ context: { pods } }) => [{ labels: {}, value: pods.configured && pods.problem() === undefined ? 1 : 0 }],
  },
  smartnic_cni_forwarder_up: {
    help: '1 while the forwarder serves all that it should; absent without a forwarder.',
    labels: ['kind'],
    read: async ({ context: { host, settings } }) => {
      if (host.forwarder === undefined) return [];
      const problem = await within(2000, host.forwarder.health(), () => 'silent');
      return [{ labels: kindOf(settings), value: problem === undefined ? 1 : 0 }];
    },
  },
  smartnic_cni_forwarder_pairs: {
    help: 'Sockets that the forwarder relays; absent while it does not answer.',
    labels: ['kind'],
    read: async ({ context: { host, settings } }) => {
      const pairs = host.forwarder?.attached().catch(() => undefined);
      const known = await within(2000, Promise.resolve(pairs), () => undefined);
      return known === undefined ? [] : [{ labels: kindOf(settings), value: known.length }];
    },
  },
};

const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'];
const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export function makeMeter(state: NodeState): Meter {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: 'smartnic_cni_request_seconds',
    help: "Duration of the runtime's requests by command and CNI error code (0: success).",
    ...{ labelNames: ['command', 'code'], buckets: seconds, registers },
  });
  const sweeps = new Counter({
    name: 'smartnic_cni_sweeps_total',
    help: 'Sweeps by result: complete, or partial (a database that did not answer, something that could not be taken away).',
    ...{ labelNames: ['result'], registers },
  });
  const swept = new Counter({
    name: 'smartnic_cni_swept_total',
    help: 'Left-over attachments that sweeps met by result: removed, or failed (tried again).',
    ...{ labelNames: ['result'], registers },
  });
  for (const result of ['complete', 'partial']) sweeps.inc({ result }, 0);
  for (const result of ['removed', 'failed']) swept.inc({ result }, 0);
  for (const [name, { help, labels, read }] of Object.entries(readings)) {
    const gauge = new Gauge({
      ...{ name, help, labelNames: [...labels], registers },
      async collect() {
        const samples = await read(state);
        gauge.reset();
        for (const sample of samples) gauge.set({ ...sample.labels }, sample.value);
      },
    });
  }
  return {
    request: (command = '', code, duration) =>
      requests.observe({ command: commands.includes(command) ? command : 'other', code: String(code) }, duration),
    swept: ({ swept: all, problems }) => {
      const failed = all.filter(({ failure }) => failure !== undefined).length;
      sweeps.inc({ result: problems.length + failed === 0 ? 'complete' : 'partial' });
      swept.inc({ result: 'removed' }, all.length - failed);
      swept.inc({ result: 'failed' }, failed);
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}

function kindOf({ forwarder }: Settings): Sample['labels'] {
  return { kind: forwarder?.kind ?? '' };
}

function countAttachments(entries: readonly Entry[]): readonly Sample[] {
  const groups = Map.groupBy(entries, ({ attachment: { vnicType }, phase }) => `${vnicType} ${phase}`);
  return [...groups.values()].flatMap((all) => {
    const [first] = all;
    if (first === undefined) return [];
    return [{ labels: { vnic_type: first.attachment.vnicType, phase: first.phase }, value: all.length }];
  });
}
