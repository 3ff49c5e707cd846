// Packages of one fixed Debian release, fetched with the machine's own apt-get and mirror into private folders. Nothing of the
// machine's package state is read or changed.
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../tools/program.ts';
import { cache } from '../cache.ts';

/** QEMU before Debian 13's drops the register accesses of emulated VFs; its kernel 6.12 is the one that our patch is made for. */
const release = 'trixie';
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The packages can't be had here: no apt-get, no mirror, no network. */
export class PackagesUnavailable extends Error {
  override readonly name = 'PackagesUnavailable';
}

/** Fetches packages with all that they depend on and unpacks them (no maintainer script runs). Gives the size in words. */
export async function unpackPackages(what: string, packages: readonly string[], into: string): Promise<string> {
  const debs = join(cache, 'debs', what);
  const options = await prepare();
  await mkdir(join(debs, 'partial'), { recursive: true });
  const output = await aptGet([...options, '-o', `Dir::Cache::archives=${debs}`, '--download-only', 'install', ...packages]);
  await mkdir(into, { recursive: true });
  const files = (await readdir(debs)).filter((name) => name.endsWith('.deb'));
  // base-files makes /lib and /bin links into /usr; what is unpacked before it would make them directories.
  const links = files.filter((name) => name.startsWith('base-files_'));
  for (const name of new Set([...links, ...files])) await run('dpkg-deb', ['--extract', join(debs, name), into]);
  return `${files.length} packages, ${/Need to get (.*?) of archives/.exec(output)?.[1]?.replace(/^0 B\//, '') ?? 'all here already'}`;
}

/** Removes what was fetched. */
export async function forgetPackages(): Promise<void> {
  for (const name of ['debs', 'apt']) await rm(join(cache, name), { recursive: true, force: true });
}

/** The options that make apt-get work in a folder of its own. */
async function prepare(): Promise<readonly string[]> {
  const dir = join(cache, 'apt');
  const list = join(dir, 'sources.list');
  const options = Object.entries({
    'Dir::Etc::sourcelist': list,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State::status': join(dir, 'status'),
    'Dir::State::lists': join(dir, 'lists'),
    'Dir::Cache': dir,
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::Retries': '3',
    'APT::Architecture': 'amd64',
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  if (existsSync(join(dir, 'updated'))) return options;
  const line = `deb [signed-by=${keyring}] ${await mirror()} ${release} main\n`;
  await mkdir(join(dir, 'lists/partial'), { recursive: true });
  await writeFile(join(dir, 'status'), '');
  await writeFile(list, line);
  await aptGet([...options, '-o', 'APT::Update::Error-Mode=any', 'update']);
  await writeFile(join(dir, 'updated'), '');
  return options;
}

/** The address that this machine has Debian itself from (not its security updates). */
async function mirror(): Promise<string> {
  if (process.arch !== 'x64') throw new PackagesUnavailable(`the lab is an x86-64 machine, this one is ${process.arch}`);
  if (!existsSync(keyring))
    throw new PackagesUnavailable(`there is no ${keyring}; the lab is made of Debian packages, on Debian`);
  const query = ['indextargets', '--format', '$(RELEASE) $(COMPONENT) $(REPO_URI)', 'Created-By: Packages'];
  const { stdout } = await run('apt-get', query, { reject: false });
  const found = stdout.split('\n').find((line) => /^[a-z]+ main \S*debian\/? *$/.test(line));
  const uri = found?.split(' ')[2];
  if (uri === undefined) throw new PackagesUnavailable(`apt-get knows no mirror of Debian here; its sources are:\n${stdout}`);
  return uri;
}

async function aptGet(args: readonly string[]): Promise<string> {
  const { exitCode, all, message } = await run('apt-get', ['-q', '-y', ...args], {
    seconds: 600,
    tries: 2,
    reject: false,
    all: true,
  });
  if (exitCode === 0) return all;
  const said = all?.trim().split('\n').slice(-8).join('\n');
  throw new PackagesUnavailable(
    `apt-get ${args.includes('update') ? 'update' : 'install --download-only'} failed: ${said || message}`,
  );
}
