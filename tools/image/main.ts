// `npm run build:image [-- [--platform linux/arm64] [TARGET…]]`: really builds the Dockerfile into OCI archives, on a machine without a container
// engine and without a registry, and shows what is in them. The default target is smartnic; `check` makes no archive. Where a registry can be
// reached, use `docker build .`.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../program.ts';
import { baseImage, ensureBase } from './base.ts';
import { buildah, buildahAloud, platform } from './buildah.ts';
import { describe } from './content.ts';
import { contextKey } from './context.ts';
import { runEmulated } from './foreign.ts';
import { lint } from './lint.ts';
import { arch, archiveOf, cache, check, imageName, type Target, targets, top } from './names.ts';
import '../path.ts';

const began = performance.now();
const say = (text: string) => console.log(`==> ${((performance.now() - began) / 1000).toFixed(0).padStart(3)} s  ${text}`);

/** The platforms, with Node's names for their architectures. */
const platforms: Readonly<Record<string, string>> = { 'linux/amd64': 'x64', 'linux/arm64': 'arm64' };

async function main(args: string[]): Promise<void> {
  const { values, positionals: wanted } = parseArgs({ args, options: { platform: { type: 'string' } }, allowPositionals: true });
  const known: readonly string[] = [check, ...targets];
  for (const name of wanted) if (!known.includes(name)) throw new Error(`no target "${name}"; there are ${known.join(', ')}`);
  const { platform: named } = values;
  if (named !== undefined && platforms[named] !== arch) return buildForeign(named);
  await lint(say);
  if (wanted.includes(check)) await runChecks();
  for (const target of targets) if (wanted.length === 0 ? target === 'smartnic' : wanted.includes(target)) await build(target);
}

/** The foreign build's exit status becomes ours. */
async function buildForeign(named: string): Promise<void> {
  if (named !== 'linux/arm64')
    throw new Error(`--platform ${named}: here, linux/${arch === 'x64' ? 'amd64' : arch} and linux/arm64 can be built`);
  say(`${named} is emulated here`);
  const setup = [join(top, 'tools/setup.mjs'), 'foreign'];
  await run(process.execPath, setup, { stdio: ['ignore', 'inherit', 'inherit'], seconds: 1800 });
  process.exitCode = await runEmulated('arm64');
}

/** Only the outcome matters, so no archive is written. */
async function runChecks(): Promise<void> {
  await ensureBase(say);
  say('checking: the stage "check" of the Dockerfile');
  await buildahAloud('bud', ...(await buildOptions(check)), top);
  await buildah('rmi', imageName(check));
  say('the checks and the unit tests pass');
}

async function build(target: Target): Promise<void> {
  const archive = archiveOf(target);
  const key = contextKey();
  if (existsSync(archive) && existsSync(`${archive}.key`) && readFileSync(`${archive}.key`, 'utf8') === key) {
    say(`${imageName(target)} is up to date`);
  } else {
    await ensureBase(say);
    say(`building ${imageName(target)} from the Dockerfile`);
    await buildahAloud('bud', ...(await buildOptions(target)), top);
    say(`writing ${archive}`);
    await writeArchive(target, archive);
    writeFileSync(`${archive}.key`, key);
  }
  console.log(await describe(target));
}

async function buildOptions(target: Target | typeof check): Promise<readonly string[]> {
  const settings = await Promise.all(['userconfig', 'globalconfig', 'cafile', 'cache'].map(npmSetting));
  const [user, global, certificates, packages] = settings;
  // The way to npm's packages depends on this machine. It is mounted for the build and is in no layer.
  const mounts = [
    [user, '/root/.npmrc:ro'],
    [global, '/usr/local/etc/npmrc:ro'],
    [certificates, `${certificates}:ro`],
    [packages, '/root/.npm'],
  ].flatMap(([from, to]) => (from !== undefined && existsSync(from) ? ['--volume', `${from}:${to}`] : []));
  return [
    '--layers=false',
    ...platform,
    '--target',
    target,
    '--build-arg',
    `NODE_IMAGE=${baseImage}`,
    '--tag',
    imageName(target),
    '--pull-never',
    ...mounts,
  ];
}

/** Undefined when it is not set. */
async function npmSetting(name: string): Promise<string | undefined> {
  const { stdout } = await run('npm', ['config', 'get', name], { cwd: top });
  return stdout === 'null' || stdout === 'undefined' ? undefined : stdout;
}

/** containerd takes an image's name from an annotation of its own, which buildah does not write. */
async function writeArchive(target: Target, archive: string): Promise<void> {
  const folder = join(cache, `${target}.oci`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  await buildah('push', '--quiet', imageName(target), `oci:${folder}:${imageName(target)}`);
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'));
  for (const each of index.manifests) each.annotations['io.containerd.image.name'] = imageName(target);
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
  await run(
    'tar',
    [
      '--create',
      '--sort=name',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--file',
      archive,
      '--directory',
      folder,
      'oci-layout',
      'index.json',
      'blobs',
    ],
    { seconds: 300 },
  );
  rmSync(folder, { recursive: true, force: true });
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`build:image: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
