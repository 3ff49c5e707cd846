// The configuration file is read soon after it changed, whatever else happens in its directory, and not while it is being written.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLog } from '../../../host/base/log.ts';
import { type ConfigSource, type ConfigState, followConfig } from '../../../inventory/config/source.ts';
import { until } from '../../support/until.ts';

const settle = 100;
const pools = (...names: readonly string[]) =>
  `pools: [${names.map((name, at) => `{ name: ${name}, vnicType: direct, resourceName: ${name}, selectors: [{ pfNames: ["p#${at}"] }] }`)}]\n`;

describe('the configuration in force', () => {
  let directory: string;
  let file: string;
  let states: ConfigState[];
  let source: ConfigSource;

  function follow(): void {
    const options = { host: { root: directory, log: openLog('silent') }, file, settle, tick: 60_000, objections: () => [] };
    source = followConfig({ ...options, changed: (state) => states.push(state) });
  }
  const names = () => source.state.config?.pools.map(({ name }) => name).join();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'c-'));
    file = join(directory, 'pools.yaml');
    states = [];
  });
  afterEach(() => {
    source.close();
    rmSync(directory, { recursive: true });
  });

  it('is the last good one of before where the plugin starts with one that is refused, and none where it is missing', () => {
    writeFileSync(file, pools('a'));
    follow();
    source.close();
    writeFileSync(file, 'pools: [');
    follow();
    equal(names(), 'a');
    ok(source.state.problems.length > 0);
    source.close();
    rmSync(file);
    follow();
    equal(names(), undefined);
    source.close();
    writeFileSync(file, 'pools: [');
    follow();
    equal(names(), undefined);
  });

  it('is the changed one soon after the change, though another file beside it is written all the time', async () => {
    writeFileSync(file, pools('a'));
    follow();
    const noise = setInterval(() => writeFileSync(join(directory, 'noise'), `${performance.now()}`), settle / 4);
    try {
      await sleep(2 * settle);
      writeFileSync(file, pools('b'));
      const began = performance.now();
      await until(async () => names() === 'b', 'the changed one is in force');
      ok(performance.now() - began < 20 * settle);
    } finally {
      clearInterval(noise);
    }
  });

  it('is not half of a file that is being written, and is read at last though the writing does not end', async () => {
    writeFileSync(file, pools('a'));
    follow();
    const text = pools('b', 'c', 'd');
    for (let end = 50; end < text.length; end += 50, await sleep(settle / 4)) writeFileSync(file, text.slice(0, end));
    writeFileSync(file, text);
    await until(async () => names() === 'b,c,d', 'the whole one is in force');
    deepEqual(
      states.flatMap(({ problems }) => problems),
      [],
    );
    const noise = setInterval(() => writeFileSync(file, `${pools('e')}# ${performance.now()}\n`), settle / 4);
    try {
      await until(async () => names() === 'e', 'the one that changes all the time is in force');
    } finally {
      clearInterval(noise);
    }
  });

  it('follows the link that a ConfigMap is swapped by', async () => {
    for (const name of ['a', 'b']) {
      mkdirSync(join(directory, `..${name}`));
      writeFileSync(join(directory, `..${name}/pools.yaml`), pools(name));
    }
    symlinkSync('..a', join(directory, '..data'));
    symlinkSync('..data/pools.yaml', file);
    follow();
    equal(names(), 'a');
    symlinkSync('..b', join(directory, '..new'));
    renameSync(join(directory, '..new'), join(directory, '..data'));
    await until(async () => names() === 'b', 'the new one is in force');
  });
});
