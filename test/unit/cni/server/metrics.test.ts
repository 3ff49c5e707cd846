// Metrics that need no machine: requests, sweeps, and a forwarder that is well, ill or silent.
import { deepEqual, ok } from 'node:assert/strict';
import type { Context } from '../../../../cni/attachment/context.ts';
import { type Meter, makeMeter } from '../../../../cni/server/metrics.ts';
import type { NodeState } from '../../../../cni/server/readiness.ts';
import type { Attached, Forwarder } from '../../../../host/forwarder/forwarder.ts';

const pair: Attached = { device: '0000:03:01.0', socket: '/run/smartnic/vhost/0000:03:01.0/vhost.sock', status: 'up' };

/** A node of which only that is made up which is looked at. */
function state(forwarder?: Partial<Forwarder>, watching?: string, ovsdb?: string): NodeState {
  const host = { forwarder, ovsdb: () => ({ problem: ovsdb }) };
  const pods = { configured: true, problem: () => watching };
  const context = {
    host,
    pods,
    settings: { ovsdb: 'unix:/db', forwarder: { kind: 'xvio' } },
    journal: { list: () => [], problems: () => [] },
  } as unknown as Context;
  return { context, databases: () => [], refused: () => [] };
}

async function lines(meter: Meter): Promise<readonly string[]> {
  return (await meter.text()).split('\n').filter((line) => line.startsWith('smartnic_'));
}

describe("the CNI server's metrics", () => {
  it('count requests by command and code, whatever a caller calls his command', async () => {
    const meter = makeMeter(state());
    meter.request('ADD', 0, 0.03);
    meter.request('ADD', 11, 3);
    meter.request('rm -rf', 4, 0);
    meter.request(undefined, 4, 0);
    const all = await lines(meter);
    ok(all.includes('smartnic_cni_request_seconds_bucket{le="0.05",command="ADD",code="0"} 1'), all.join('\n'));
    ok(all.includes('smartnic_cni_request_seconds_count{command="ADD",code="11"} 1'));
    ok(all.includes('smartnic_cni_request_seconds_count{command="other",code="4"} 2'));
  });

  it('tell of sweeps before there was one, and what they met', async () => {
    const meter = makeMeter(state());
    ok((await lines(meter)).includes('smartnic_cni_swept_total{result="failed"} 0'));
    const attachment = {} as never;
    meter.swept({
      swept: [
        { attachment, why: 'dead' },
        { attachment, why: 'dead', failure: 'busy' },
      ],
      restored: [],
      problems: [],
    });
    meter.swept({ swept: [], restored: [], problems: [] });
    const all = await lines(meter);
    for (const line of [
      'sweeps_total{result="complete"} 1',
      'sweeps_total{result="partial"} 1',
      'swept_total{result="removed"} 1',
      'swept_total{result="failed"} 1',
    ])
      ok(all.includes(`smartnic_cni_${line}`), all.join('\n'));
  });

  const forwarders: readonly (readonly [string, Partial<Forwarder> | undefined, readonly string[]])[] = [
    ['none', undefined, []],
    [
      'one that is well',
      { health: async () => undefined, attached: async () => [pair] },
      ['pairs{kind="xvio"} 1', 'up{kind="xvio"} 1'],
    ],
    [
      'one that is ill',
      { health: async () => 'relay is down', attached: async () => [pair, pair] },
      ['pairs{kind="xvio"} 2', 'up{kind="xvio"} 0'],
    ],
    [
      'one that is away',
      { health: async () => 'no answer', attached: async () => Promise.reject(new Error('no answer')) },
      ['up{kind="xvio"} 0'],
    ],
  ];
  for (const [which, forwarder, expected] of forwarders)
    it(`know ${which} of forwarders`, async () => {
      const all = (await lines(makeMeter(state(forwarder)))).filter((line) => line.includes('forwarder'));
      deepEqual(
        all.sort(),
        expected.map((line) => `smartnic_cni_forwarder_${line}`),
      );
    });
});
