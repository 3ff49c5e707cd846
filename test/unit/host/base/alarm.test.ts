import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Alarm } from '../../../../host/base/alarm.ts';

describe('an alarm', () => {
  /** After how many milliseconds it rang, each time within half a second. */
  async function rung(asked: (alarm: Alarm) => void): Promise<readonly number[]> {
    const begin = performance.now();
    const times: number[] = [];
    const alarm = new Alarm(() => times.push(performance.now() - begin));
    asked(alarm);
    await sleep(500);
    alarm.clear();
    return times;
  }

  it('rings once, at the earliest time that was asked for', async () => {
    const orders = [
      [200, 10_000],
      [10_000, 200, 400],
    ];
    const times = await Promise.all(
      orders.map((order) =>
        rung((alarm) => {
          for (const milliseconds of order) alarm.within(milliseconds);
        }),
      ),
    );
    assert.deepEqual(
      times.map((each) => each.map((time) => time > 195)),
      [[true], [true]],
    );
  });

  it('can be asked again when it has rung', async () => {
    let rings = 0;
    const alarm = new Alarm(() => {
      rings += 1;
      if (rings < 3) alarm.within(10);
    });
    alarm.within(0);
    await sleep(300);
    assert.equal(rings, 3);
  });

  it('does not ring once it was cleared', async () => {
    const times = await rung((alarm) => {
      alarm.within(50);
      alarm.clear();
    });
    assert.deepEqual(times, []);
  });
});
