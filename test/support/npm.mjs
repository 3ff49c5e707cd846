// What `npm run …` and `npm test` do: `node test/support/npm.mjs TASK [ARGUMENTS]`. Prepares the machine as far as the task needs it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  installPackages,
  prepareArm64,
  prepareCluster,
  prepareForeignImage,
  prepareImage,
  prepareMachine,
  step,
  top,
} from './prepare.mjs';

/** The exit status of a lab's build whose packages can't be had here (test/lab/exit.ts). */
const noPackages = 3;
const bin = (name) => join(top, 'node_modules/.bin', name);
const counts = join(top, 'node_modules/.smartnic-counts.json');
/** Of all runs of mocha. */
const total = { passed: 0, failed: 0, skipped: 0 };

const tasks = {
  check: () => check(),
  build: () => build(),
  test: async () => {
    const ok = [check(), build(), mocha(['test/unit/**/*.test.ts', ...machineSpecs()])].every(Boolean);
    const ahead = clusterAhead();
    return summary([ok, lab(), await ahead(), cluster()].every(Boolean));
  },
  'test:unit': () => summary(build() && mocha(['test/unit/**/*.test.ts'])),
  'test:machine': () => summary(build() && mocha(machineSpecs())),
  'test:lab': () => summary(build() && lab()),
  'test:cluster': () => summary(build() && cluster()),
  'cluster:ahead': () => clusterParts() === 0,
  'test:arm64': () => arm64(),
  coverage: () =>
    build() && mocha(['test/unit/**/*.test.ts', ...machineSpecs()], [bin('c8'), '--reporter=text', '--reporter=html']),
  bench: () => needsMachine('the benchmarks') && build() && run(bin('node'), ['test/bench/main.ts', ...rest]),
  'build:image': () => image(),
  demo: () => needsMachine('the demonstration') && build() && run(bin('node'), ['test/demo/demo.ts', ...rest]),
};

const [name = '', ...rest] = process.argv.slice(2);
const task = tasks[name];
if (task === undefined) {
  console.error(`unknown task "${name}"; there are: ${Object.keys(tasks).join(', ')}`);
  process.exit(2);
}
installPackages();
process.exitCode = (await task()) ? 0 : 1;

function check() {
  step('checking: generated types, compiler, linter, unused code');
  const generate = [
    '--keepCase',
    '--longs=Number',
    '--defaults',
    '--importFileExtension=.ts',
    '-I',
    'proto',
    '-O',
    'proto/generated',
    '--grpcLib=@grpc/grpc-js',
  ];
  const protos = ['deviceplugin.proto', 'pluginregistration.proto', 'podresources.proto'];
  return [
    run(bin('proto-loader-gen-types'), [...generate, ...protos], { quiet: true }),
    run(bin('tsc'), ['-p', '.']),
    run(bin('biome'), ['check', '--error-on-warnings']),
    run(bin('knip'), ['--no-progress']),
  ].every(Boolean);
}

function build() {
  step('building dist/: the executable and the servers');
  return run(bin('node'), ['tools/bundle.mjs']);
}

function image() {
  const foreign = rest.some((each) => each.endsWith('linux/arm64')) && process.arch !== 'arm64';
  const missing = foreign ? prepareForeignImage() : prepareImage();
  for (const each of missing) console.error(`the image can't be built here; missing: ${each}; with a registry: docker build .`);
  return missing.length === 0 && run(bin('node'), ['tools/image/main.ts', ...rest]);
}

/** Nothing where the machine can't run them; in CI that is a failure, elsewhere it is said. */
function machineSpecs() {
  const missing = prepareMachine();
  if (missing.length === 0) return ['test/machine/**/*.test.ts'];
  for (const each of missing) console.log(`the machine tests are skipped; missing: ${each}`);
  if (process.env.CI === 'true') process.exit(1);
  return [];
}

/** In a run of its own, when nothing else takes the time of the emulated machine. */
function lab() {
  const missing = prepareMachine();
  const status = missing.length > 0 ? noPackages : start(bin('node'), ['test/lab/main.ts', 'build']);
  if (status === 0) return mocha(['test/lab/**/*.test.ts']);
  if (status !== noPackages) return false;
  console.log(`the lab's tests are skipped; missing: ${missing.join('; ') || 'its packages, see above'}`);
  return process.env.CI !== 'true';
}

/** A real Kubernetes node, whose programs are compiled here the first time. */
function cluster() {
  const missing = prepareCluster();
  const status = missing.length > 0 ? noPackages : clusterParts();
  if (status === 0) return mocha(['test/cluster/**/*.test.ts']);
  if (status !== noPackages) return false;
  console.log(`the cluster's tests are skipped; missing: ${missing.join('; ') || 'its programs, see above'}`);
  return process.env.CI !== 'true';
}

/** The exit status. */
function clusterParts() {
  return (
    start(bin('node'), ['test/cluster/main.ts', 'build']) ||
    start(bin('node'), ['tools/image/main.ts', 'smartnic', 'smartnic-forwarder'])
  );
}

/**
 * Makes the cluster's parts with what the lab's tests leave of the CPUs, which is half of one. What it gives waits until that has ended; if it
 * failed, `cluster` tries again and says why.
 */
function clusterAhead() {
  if (prepareCluster().length > 0) return () => true;
  mkdirSync(join(top, '.cache'), { recursive: true });
  const log = join(top, '.cache/cluster-ahead.log');
  const output = openSync(log, 'w');
  const command = ['-n', '19', process.execPath, join(top, 'test/support/npm.mjs'), 'cluster:ahead'];
  const ended = once(spawn('nice', command, { cwd: top, stdio: ['ignore', output, output] }), 'exit');
  return async () => {
    step("the cluster's parts, which are being made since the lab's tests began");
    const tail = spawn('tail', ['-n', '+1', '-f', log], { stdio: ['ignore', 'inherit', 'inherit'] });
    await ended;
    tail.kill();
    return true;
  };
}

/** Not part of `npm test`: it takes minutes and shows what an arm64 machine shows better. */
function arm64() {
  const missing = prepareArm64();
  for (const each of missing) console.error(`arm64 can't be emulated here; missing: ${each}`);
  return missing.length === 0 && run(bin('node'), ['test/arm64/main.ts', ...rest]);
}

function needsMachine(what) {
  const missing = prepareMachine();
  for (const each of missing) console.error(`${what} can't run here; missing: ${each}`);
  return missing.length === 0;
}

function mocha(specs, before = []) {
  if (specs.length === 0) return true;
  step(`testing: ${specs.join(' ')}`);
  rmSync(counts, { force: true });
  const command = [
    ...before,
    bin('node'),
    bin('mocha'),
    '--reporter',
    'test/support/reporter.mjs',
    ...specs.flatMap((each) => ['--spec', each]),
  ];
  const [file = '', ...args] = command;
  const ok = run(file, args, { env: { SMARTNIC_COUNTS: counts } });
  if (existsSync(counts))
    for (const [kind, count] of Object.entries(JSON.parse(readFileSync(counts, 'utf8')))) total[kind] += count;
  return ok;
}

/** The last line, which a CI reads. A skipped test fails a CI run: there everything is installed. */
function summary(ok) {
  const { passed, failed, skipped } = total;
  const skippedInCi = process.env.CI === 'true' && skipped > 0;
  if (skippedInCi) console.log('tests were skipped, and in CI none may be');
  if (!ok && failed === 0) console.log('the checks or the build failed, see above');
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return ok && failed === 0 && passed > 0 && !skippedInCi;
}

function run(file, args, options) {
  return start(file, args, options) === 0;
}

/** The exit status. */
function start(file, args, { env = {}, quiet = false } = {}) {
  // Children find Node 24 first, whatever the machine's own is.
  const path = `${join(top, 'node_modules/.bin')}:/usr/local/sbin:/usr/sbin:/sbin:${process.env.PATH}`;
  const stdio = ['ignore', quiet ? 'ignore' : 'inherit', 'inherit'];
  return spawnSync(file, args, { cwd: top, stdio, env: { ...process.env, ...env, PATH: path } }).status;
}
