// Builds what is missing of the cluster's programs, and says how far it is: `node test/cluster/build/build.ts`.
// A folder is there completely or not at all; what Go has compiled stays in its own cache, so a build that was stopped goes on where
// it was. Run through `ensurePrograms`, which keeps two builds apart.
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { notPossibleHere } from '../../../tools/exit.ts';
import { run } from '../../../tools/program.ts';
import { kubeletFolder, kubeletVersion, programsFolder } from '../cache.ts';
import { type Build, builds, kubelet, versionFlags } from './programs.ts';
import { findGo, ModulesUnavailable, module } from './toolchain.ts';
import '../../../tools/path.ts';

async function main(): Promise<void> {
  const go = await findGo();
  if (!existsSync(programsFolder()))
    await make(programsFolder(), 'Kubernetes, etcd, containerd, runc, Multus', (into) => all(go, into));
  const version = kubeletVersion;
  if (version !== undefined && !existsSync(kubeletFolder()))
    await make(kubeletFolder(), `kubelet ${version}`, (into) => other(go, version, into));
}

async function make(folder: string, what: string, work: (into: string) => Promise<void>): Promise<void> {
  const partial = `${folder}.partial`;
  const began = performance.now();
  console.log(`==> cluster: building ${what} from Go modules`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await work(partial);
  await rename(partial, folder);
  console.log(`    built in ${Math.round((performance.now() - began) / 1000)} s: ${folder}`);
}

async function all(go: string, into: string): Promise<void> {
  const [, version = ''] = /k8s\.io\/kubernetes v(\S+)/.exec(await readFile(join(module, 'go.mod'), 'utf8')) ?? [];
  for (const build of builds(version)) await compile({ go, dir: module, build, into });
}

/** Of another minor version, in a module of its own that is made here: not pinned by checksums of ours. */
async function other(go: string, version: string, into: string): Promise<void> {
  if (!/^1\.\d+\.\d+$/.test(version)) throw new Error(`KUBELET="${version}" is not a version such as 1.35.4`);
  const dir = join(into, 'go');
  await cp(module, dir, { recursive: true });
  await rm(join(dir, 'go.sum'));
  const text = await readFile(join(module, 'go.mod'), 'utf8');
  const replaced = [...text.matchAll(/^\t(k8s\.io\/\S+) => /gm)].flatMap(([, name]) => name ?? []);
  const staging = `v${version.replace(/^1/, '0')}`;
  const lines = replaced.map((name) => `replace ${name} => ${name} ${staging}\n`);
  await writeFile(
    join(dir, 'go.mod'),
    `module smartnic.io/test/cluster\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v${version}\n\n${lines.join('')}`,
  );
  await writeFile(join(dir, 'tools.go'), `//go:build tools\n\npackage tools\n\nimport _ "${kubelet}"\n`);
  await ask(go, ['mod', 'tidy', '-e'], { dir, env: environment(false) });
  await compile({ go, dir, into, build: { packages: [kubelet], ldflags: versionFlags(version) } });
  await rm(dir, { recursive: true });
}

interface Job {
  readonly go: string;
  readonly dir: string;
  readonly build: Build;
  readonly into: string;
}

async function compile({ go, dir, build, into }: Job): Promise<void> {
  const { packages, tags = [], cgo = false, name, ldflags = '' } = build;
  const names = packages.map((each) => name ?? basename(each)).join(', ');
  const env = environment(cgo);
  const tagged = ['-tags', tags.join(',')];
  console.log(`    ${names}: fetching modules`);
  const total = (await ask(go, ['list', '-deps', ...tagged, ...packages], { dir, env })).split('\n').length;
  const target = name === undefined ? `${into}/` : join(into, name);
  // Without debugging information and inlining there is a third less to compile, and less to keep and to link.
  const lean = ['-trimpath', '-buildvcs=false', '-gcflags=all=-dwarf=false -l', '-ldflags', `-s -w ${ldflags}`];
  const args = ['build', '-v', ...lean, ...tagged, '-o', target, ...packages];
  const words: string[] = [];
  let compiled = 0;
  const stderr = function* (line: unknown) {
    // Names of packages as they are begun; everything else is an error's.
    if (/^[\w.~-]+(\/[\w.~-]+)*$/.test(String(line))) compiled += 1;
    else words.push(String(line));
    yield* [];
  };
  const tick = setInterval(() => console.log(`    ${compiled} of at most ${total} packages compiled`), 30_000);
  const limits = { seconds: 45 * 60, tries: 2 };
  const { exitCode } = await run(go, args, { ...limits, cwd: dir, env, reject: false, stdin: 'ignore', stderr }).finally(() =>
    clearInterval(tick),
  );
  if (exitCode !== 0) throw new Error(`go build of ${names} failed:\n${words.slice(-30).join('\n')}`);
  console.log(`    ${names}: done, ${compiled} of ${total} packages compiled`);
}

/** A compiler that collects its garbage less often needs a quarter less time, and half a GB. */
function environment(cgo: boolean): Readonly<Record<string, string>> {
  return { CGO_ENABLED: cgo ? '1' : '0', GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off', GOGC: '800' };
}

/** @returns its stdout. */
async function ask(go: string, args: readonly string[], { dir, env }: RunOptions): Promise<string> {
  const { exitCode, stdout, stderr } = await run(go, args, {
    seconds: 600,
    tries: 2,
    cwd: dir,
    env,
    reject: false,
    stdin: 'ignore',
  });
  if (exitCode === 0) return stdout;
  throw new ModulesUnavailable(`go ${args.slice(0, 2).join(' ')} failed: ${stderr.split('\n').slice(-10).join('\n')}`);
}

interface RunOptions {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
}

main().catch((error: unknown) => {
  console.error(`the cluster's programs could not be built: ${error instanceof Error ? error.message : error}`);
  process.exit(error instanceof ModulesUnavailable ? notPossibleHere : 1);
});
