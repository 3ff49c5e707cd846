import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog } from '../../../../host/base/log.ts';
import type { Forwarder } from '../../../../host/forwarder/forwarder.ts';
import { readForwarderTrouble, tellHealth } from '../../../../host/forwarder/health-marker.ts';
import { quarantineDir } from '../../../../host/nic/quarantine.ts';
import { until } from '../../../support/until.ts';

describe("the marker of a forwarder's health", () => {
  let root = '';
  let trouble: string | undefined;
  const forwarder = { health: async () => trouble } as Forwarder;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'marker-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const tell = (of: Forwarder | undefined) =>
    tellHealth({ directory: join(root, quarantineDir), forwarder: of, log: openLog('silent'), period: 10 });
  const reads = async (words: string | undefined) =>
    await until(async () => readForwarderTrouble({ root }) === words, `the marker says ${words}`);

  it("comes with the forwarder's words, changes with them and goes when it is well", async () => {
    trouble = 'relay of x: down,\nended 3 times';
    await using _telling = tell(forwarder);
    await reads('relay of x: down, ended 3 times');
    trouble = 'is it running?';
    await reads('is it running?');
    trouble = undefined;
    await reads(undefined);
  });

  it('stays when the CNI server ends, for its successor to judge', async () => {
    trouble = 'down';
    {
      await using _telling = tell(forwarder);
      await reads('down');
    }
    assert.equal(readForwarderTrouble({ root }), 'down');
    trouble = undefined;
    await using _next = tell(forwarder);
    await reads(undefined);
  });

  it('goes where no forwarder is configured any more', async () => {
    trouble = 'down';
    {
      await using _telling = tell(forwarder);
      await reads('down');
    }
    await using _none = tell(undefined);
    await reads(undefined);
  });
});
