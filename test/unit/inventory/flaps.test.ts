// A VF that comes and goes, and what kubelet is told about it, on a clock of the test's own.
import { deepEqual, equal, match } from 'node:assert/strict';
import { parseConfig } from '../../../inventory/config/config.ts';
import { nextOffer, nothingOffered, type Offered } from '../../../inventory/next-offer.ts';
import { someVf } from '../../support/resources.ts';

const [config, other] = [1, 2].map(() =>
  parseConfig('pools.yaml', 'pools: [{ name: a, vnicType: direct, selectors: [{ vendors: ["8086"] }] }]'),
);
const vf = someVf(1, 0);
const second = 1000;

type State = 'fit' | 'unfit' | 'absent';

describe('a VF that becomes unfit again and again', () => {
  let last: Offered;
  let now: number;
  beforeEach(() => {
    last = nothingOffered;
    now = 0;
  });

  interface More {
    readonly held?: boolean;
    readonly fresh?: boolean;
  }

  /** What kubelet is told of it. */
  function told(state: State, { held = false, fresh = false }: More = {}): State {
    const facts = { quarantined: new Map(state === 'unfit' ? [[vf.address, 'FLR timed out']] : []), bridges: new Set<string>() };
    const chosen = fresh ? other : config;
    if (chosen === undefined) throw new Error('the test has two configurations');
    last = nextOffer(last, {
      config: chosen,
      nics: { pfs: [vf.pf], vfs: state === 'absent' ? [] : [vf], unread: [] },
      sockets: new Map(),
      held: new Map(held ? [[vf.address, 'smartnic.io/direct']] : []),
      facts: { ...facts, forwardersDown: new Map(), unread: [] },
      now,
    });
    const [unit] = last.resources[0]?.units ?? [];
    return unit === undefined ? 'absent' : unit.problems.length > 0 ? 'unfit' : 'fit';
  }

  /** So many times fit, then this, a tenth of a second each. */
  function flap(times: number, bad: State, more: More = {}): readonly State[] {
    return Array.from({ length: times }, () => ['fit', bad] as const)
      .flat()
      .map((state) => {
        now += second / 10;
        return told(state, more);
      });
  }

  for (const bad of ['unfit', 'absent'] as const)
    it(`(${bad}) is told as it is twice, and is unhealthy from the third time on, for as long as it goes on`, () => {
      deepEqual(flap(2, bad), ['fit', bad, 'fit', bad]);
      deepEqual(flap(100, bad), ['fit', ...Array.from({ length: 199 }, () => 'unfit')]);
      match(last.findings.map(({ reason, told: isTold }) => `${reason} ${isTold}`).join(), /^flapping true$/);
    });

  it('is fit again when it was so for half a minute without interruption, at a time that is announced', () => {
    flap(5, 'absent');
    now += second;
    equal(told('fit'), 'unfit');
    equal(last.again, now + 30 * second);
    now += 29 * second;
    equal(told('fit'), 'unfit');
    now += second;
    equal(told('fit'), 'fit');
    equal(last.again, undefined);
    deepEqual(last.findings, []);
  });

  it('is told as it is when it stays as it is', () => {
    flap(5, 'absent');
    now += 30 * second;
    equal(told('absent'), 'absent');
    now += second;
    equal(told('fit'), 'fit');
  });

  it('says what was against it last', () => {
    flap(5, 'unfit');
    match(last.resources[0]?.units[0]?.problems.join() ?? '', /^flapping: .*quarantined: FLR timed out/);
  });

  it('is told as it is when the times lie further apart', () => {
    for (let time = 0; time < 10; time++) {
      now += 15 * second;
      equal(told('fit'), 'fit');
      now += 15 * second;
      equal(told('unfit'), 'unfit');
    }
  });

  it('is told as healthy as long as a pod has it, and what it did meanwhile is not held against it', () => {
    flap(5, 'unfit');
    deepEqual(new Set(flap(5, 'unfit', { held: true })), new Set(['fit']));
    now += second;
    equal(told('unfit'), 'unfit');
    now += second;
    equal(told('fit'), 'fit');
  });

  it('is judged anew under a changed configuration', () => {
    flap(5, 'absent');
    now += second;
    equal(told('fit', { fresh: true }), 'fit');
  });
});
