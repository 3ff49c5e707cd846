// When the CNI server should be started anew.
import { deepEqual } from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSettings } from '../../../../cni/attachment/settings.ts';
import { livenessProblems, type NodeState } from '../../../../cni/server/readiness.ts';

describe('the CNI server lives', () => {
  const problems = (ovsdb: string) => {
    const settings = parseSettings(JSON.stringify({ socket: '/nowhere/cni.sock', ovsdb }), 'f');
    // Only the settings are looked at.
    return livenessProblems({ context: { settings } } as unknown as NodeState, undefined);
  };

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
