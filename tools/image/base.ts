// Makes the Dockerfile's base image without a registry: Debian from its packages, and Node from its npm package, under the name in FROM.
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../program.ts';
import { buildah, platform } from './buildah.ts';
import { arch, cache, emulated, nodeVersion, top } from './names.ts';

const release = 'trixie';
export const baseImage = `docker.io/library/node:${nodeVersion}-${release}-slim`;
/** The real base image lacks these files, too. */
const without = ['/usr/share/doc/*', '/usr/share/locale/*', '/usr/share/man/*', '/usr/share/info/*'];
const recipe = createHash('sha256')
  .update(readFileSync(import.meta.filename))
  .update(nodeVersion)
  .digest('hex')
  .slice(0, 16);

/** Makes the image, unless this recipe has made it already. */
export async function ensureBase(say: (text: string) => void): Promise<void> {
  const known = await buildah('images', '--filter', `label=recipe=${recipe}`, '--quiet', '--no-trunc');
  if (known !== '') return say(`the base image is there: ${baseImage}`);
  say(`making the base image ${baseImage} of Debian packages, ${emulated ? 'four minutes' : 'about a minute'}`);
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'base-'));
  try {
    await installDebian(join(folder, 'debian.tar'));
    await addNode(folder);
    await commit(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function installDebian(tar: string): Promise<void> {
  const slim = without.map((path) => `--dpkgopt=path-exclude=${path}`);
  const source = `deb ${await mirror()} ${release} main`;
  await run(
    'mmdebstrap',
    [
      '--quiet',
      '--mode=root',
      // foreign.ts has taken care of QEMU, and a user namespace can't make devices.
      ...(emulated ? [`--architectures=${arch}`, '--skip=check/qemu,output/dev'] : []),
      '--variant=apt',
      '--include=ca-certificates',
      ...slim,
      release,
      tar,
      source,
    ],
    { seconds: emulated ? 1800 : 600 },
  );
}

/** The mirror from which this machine gets Debian itself (not its security updates). */
async function mirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  const found = stdout.split('\n').find((uri) => /debian\/?$/.test(uri));
  if (found === undefined) throw new Error(`apt-get knows no mirror of Debian here; it knows:\n${stdout}`);
  return found;
}

/** Adds Node, and the npm that runs this program. */
async function addNode(folder: string): Promise<void> {
  const packages = emulated ? await foreignPackages(folder) : top;
  const npm = dirname(dirname(process.env['npm_execpath'] ?? '/usr/lib/node_modules/npm/bin/npm-cli.js'));
  const local = join(folder, 'node/usr/local');
  cpSync(join(packages, `node_modules/node-linux-${arch}/bin/node`), join(local, 'bin/node'));
  chmodSync(join(local, 'bin/node'), 0o755);
  cpSync(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
}

/** Installs the lock file's packages for the other architecture, because this machine does not have that Node. */
async function foreignPackages(folder: string): Promise<string> {
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(top, name), join(folder, name));
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['ci', '--os=linux', `--cpu=${arch}`, '--omit=dev', ...quiet], { cwd: folder, seconds: 600, tries: 2 });
  return folder;
}

async function commit(folder: string): Promise<void> {
  const container = await buildah('from', ...platform, 'scratch');
  try {
    await buildah('add', '--quiet', container, join(folder, 'debian.tar'), '/');
    await buildah('add', '--quiet', container, join(folder, 'node'), '/');
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    await buildah('config', '--env', path, '--label', `recipe=${recipe}`, container);
    await buildah('commit', '--quiet', container, baseImage);
  } finally {
    await buildah('rm', container);
  }
}
