// The conditions in which the CNI server should be started anew.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { livenessProblems, readinessProblems } from '../../../../cni/server/readiness.ts';

describe('the CNI server lives', () => {
  const problems = (ovsdb: string) => livenessProblems({ socket: '/nowhere/cni.sock', ovsdb }, undefined);

  it("unless Open vSwitch's folder was removed and made anew: a container's mount still shows the old one", () => {
    const folder = mkdtempSync(join(tmpdir(), 'sn-ovs-'));
    const fd = openSync(folder, 'r');
    // A folder without a name can be reached by a descriptor as it can by a mount.
    const mounted = `/proc/self/fd/${fd}`;
    try {
      deepEqual(problems(`unix:${mounted}/db.sock`), []);
      rmdirSync(folder);
      deepEqual(problems(`unix:${mounted}/db.sock`), [
        `${mounted} was removed on the node, and this container still sees the old one`,
      ]);
    } finally {
      closeSync(fd);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('whatever else becomes of the database: a restart would not help', () => {
    deepEqual(problems('unix:/nowhere/db.sock'), []);
    deepEqual(problems('tcp:192.0.2.1:6640'), []);
  });
});

describe('readiness of the CNI server', () => {
  const well = { database: { problem: undefined }, pods: { problem: () => undefined } };

  it('is there when all is well', async () => {
    deepEqual(await readinessProblems(well), []);
    deepEqual(await readinessProblems({ ...well, forwarder: { health: async () => undefined } }), []);
  });

  it('names all that could fail an ADD', async () => {
    const ill = {
      database: { problem: 'OVSDB server …' },
      pods: { problem: () => "the pods of node n can't be watched" },
      forwarder: { health: async () => 'relay of 0000:03:01.0: down' },
    };
    deepEqual(await readinessProblems(ill), [
      'OVSDB server …',
      "the pods of node n can't be watched",
      'forwarder: relay of 0000:03:01.0: down',
    ]);
  });

  it('does not wait for a forwarder that says nothing', async () => {
    const began = performance.now();
    const [problem = '', ...others] = await readinessProblems({ ...well, forwarder: { health: () => new Promise(() => {}) } });
    match(problem, /^forwarder: it has not answered within 2 s$/);
    equal(others.length, 0);
    ok(performance.now() - began < 10_000);
  });
});
