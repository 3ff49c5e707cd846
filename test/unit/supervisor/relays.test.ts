// The supervision of relays, with a small shell script in testpmd's place.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLog } from '../../../host/base/log.ts';
import { vhostDevice } from '../../../supervisor/command-line.ts';
import { findProcess, isRunning } from '../../../supervisor/processes.ts';
import { openRelays, type Relays } from '../../../supervisor/relays.ts';
import { until } from '../../support/until.ts';

const forwards = 'echo "VHOST_CONFIG: vhost-user client: socket created"; while :; do sleep 0.2; done';

describe('supervised relays', () => {
  let directory = '';
  let program = '';
  const opened: Relays[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'relays-'));
    program = join(directory, 'testpmd');
    await behave(forwards);
  });
  afterEach(async () => {
    // Ends every supervisor that the test had, because an earlier one would start its relays again.
    for (const relays of opened.splice(0)) for (const each of relays.attached()) await relays.detach(each);
    await rm(directory, { recursive: true, force: true });
  });

  const behave = async (script: string) => {
    await writeFile(program, `#!/bin/sh\n${script}\n`);
    await chmod(program, 0o755);
  };
  const supervisor = (bootId = 'boot 1') => {
    const settings = { directory, program, mainCore: 0, workerCores: [1, 2], memory: 64, hugepages: false };
    const relays = openRelays({ settings, log: openLog('silent'), bootId });
    opened.push(relays);
    return relays;
  };
  const pair = (device: string) => ({ device, socket: join(directory, `${device}.sock`), mac: '02:00:00:00:00:01', mtu: 1500 });
  const processOf = (device: string) => findProcess(vhostDevice(pair(device)));

  it('spread over the workers, and the worker that was left first is taken again', async () => {
    const relays = supervisor();
    for (const device of ['a', 'b', 'c']) await relays.attach(pair(device));
    const workers = () => relays.attached().map(({ device, status }) => `${device} ${/CPU (\d)/.exec(status)?.[1]}`);
    assert.deepEqual(workers(), ['a 1', 'b 2', 'c 1']);
    await relays.detach(pair('c'));
    await relays.detach(pair('a'));
    await relays.attach(pair('d'));
    assert.deepEqual(workers(), ['b 2', 'd 1']);
  });

  it('are attached only when they forward; the first words of one that ends at once are the error', async () => {
    await behave('echo "EAL: Error - no free hugepages"; echo chatter; exit 1');
    const relays = supervisor();
    await assert.rejects(relays.attach(pair('a')), /between a and .* ended at once: EAL: Error - no free hugepages/);
    assert.deepEqual(relays.attached(), []);
    assert.deepEqual(await readdir(join(directory, 'relays')), []);
  });

  it('say that the program is not there', async () => {
    await rm(program);
    await assert.rejects(supervisor().attach(pair('a')), /testpmd can't be started; is it installed/);
  });

  it('are started again when they die, with pauses that grow; what they said is told meanwhile', async () => {
    const relays = supervisor();
    await relays.attach(pair('a'));
    const first = processOf('a');
    await behave('echo x >> $0.starts; echo "EAL: Error - device is busy"; exit 1');
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await until(
      async () => /down, ended [34] times; it said last: EAL: Error - device is busy/.test(relays.attached()[0]?.status ?? ''),
      'it says so',
    );
    const began = performance.now();
    while (performance.now() - began < 1000) await new Promise((resolve) => setTimeout(resolve, 50));
    const starts = (await readFile(`${program}.starts`, 'utf8')).trim().split('\n').length;
    assert(starts <= 6, `${starts} starts`);
    await behave(forwards);
    await until(async () => relays.attached()[0]?.status.startsWith('forwarding') === true, 'it forwards again');
  });

  it('are taken over by the next supervisor, by number and start time; never started twice', async () => {
    await supervisor().attach(pair('a'));
    const first = processOf('a');
    const next = supervisor();
    await next.attach(pair('a'));
    assert.deepEqual(processOf('a'), first);
  });

  it('are found when the supervisor ended before it could note their number, or when the number is another process by now', async () => {
    await supervisor().attach(pair('a'));
    const first = processOf('a');
    const file = join(directory, 'relays/a.json');
    const record = JSON.parse(await readFile(file, 'utf8'));
    for (const wrong of [undefined, { pid: process.pid, started: 1, ready: true }]) {
      await writeFile(file, JSON.stringify({ ...record, process: wrong }));
      const next = supervisor();
      await next.attach(pair('a'));
      assert.deepEqual(processOf('a'), first);
    }
    assert(first && isRunning(first));
  });

  it('of an earlier boot are not started again', async () => {
    const before = supervisor();
    await before.attach(pair('a'));
    const record = await readFile(join(directory, 'relays/a.json'));
    await before.detach(pair('a'));
    await writeFile(join(directory, 'relays/a.json'), record);
    assert.deepEqual(supervisor('boot 2').attached(), []);
    assert.deepEqual(await readdir(join(directory, 'relays')), []);
  });

  it('end with what they started of theirs left behind: nothing', async () => {
    const relays = supervisor();
    await relays.attach(pair('a'));
    const before = processOf('a');
    await Promise.all([relays.detach(pair('a')), relays.detach(pair('a'))]);
    assert(before && !isRunning(before));
    assert.equal(processOf('a'), undefined);
    assert.deepEqual(await readdir(join(directory, 'relays')), []);
  });

  it('go on when their note can not be written, and are noted as soon as it can', async () => {
    const draft = join(directory, 'relays/.a.json.new');
    await behave(`echo x >> $0.starts; sleep 0.3; ${forwards}`);
    const relays = supervisor();
    const attaching = relays.attach(pair('a'));
    await until(async () => existsSync(join(directory, 'relays/a.json')), 'the pair is noted');
    await mkdir(draft); // no file of that name can be made
    await attaching;
    const first = processOf('a');
    await sleep(1500);
    assert.deepEqual(processOf('a'), first);
    assert.equal(await readFile(`${program}.starts`, 'utf8'), 'x\n');
    assert.match(relays.attached()[0]?.status ?? '', /^forwarding/);
    await rm(draft, { recursive: true });
    const noted = async () => JSON.parse(await readFile(join(directory, 'relays/a.json'), 'utf8')).process;
    await until(async () => (await noted())?.ready === true, 'it is noted');
    assert.equal((await noted()).pid, first?.pid);
    await relays.detach(pair('a'));
    assert(first && !isRunning(first));
  });

  it('are not started at all when nothing can be noted', async () => {
    const relays = supervisor();
    await mkdir(join(directory, 'relays/.a.json.new'));
    await assert.rejects(relays.attach(pair('a')), /relays\/a\.json can't be written: EISDIR.*is there room on its disk/);
    assert.equal(processOf('a'), undefined);
  });

  it('whose notes are not understood are left alone, with their notes', async () => {
    const before = supervisor();
    await before.attach(pair('a'));
    const [first, folder] = [processOf('a'), join(directory, 'relays')];
    const newer = (await readFile(join(folder, 'a.json'), 'utf8')).replace('"version":1', '"version":2');
    await writeFile(join(folder, 'a.json'), newer);
    await writeFile(join(folder, 'b.json'), 'torn');
    await mkdir(join(folder, 'c.json'));
    const relays = supervisor();
    assert.deepEqual(relays.attached(), []);
    for (const device of ['a', 'b', 'c'])
      await assert.rejects(
        relays.attach(pair(device)),
        new RegExp(`relays/${device}\\.json, a note of the relay of ${device}, is not understood`),
      );
    assert(first && isRunning(first));
    await relays.detach(pair('a'));
    assert(!isRunning(first), 'its owner wants the device back');
    assert.equal(await readFile(join(folder, 'a.json'), 'utf8'), newer);
    await relays.attach(pair('d'));
    await relays.detach(pair('d'));
    assert.deepEqual((await readdir(folder)).sort(), ['a.json', 'a.log', 'b.json', 'c.json']);
  });

  it('refuse another socket or MTU for a device that is relayed, naming what it has', async () => {
    const relays = supervisor();
    await relays.attach(pair('a'));
    await assert.rejects(
      relays.attach({ ...pair('a'), mtu: 9000 }),
      /with MTU 1500 already, and not .* with MTU 9000; detach it first/,
    );
  });
});
