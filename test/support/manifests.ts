// The objects that deploy/ applies, as data. kubectl renders them where it is installed, so that tests see what an API server would see.
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { runSync } from '../../tools/program.ts';
import { programsFolder } from '../cluster/cache.ts';

const deployFolder = join(import.meta.dirname, '../../deploy');

// biome-ignore lint/suspicious/noExplicitAny: objects of a dozen kinds, read by tests
export type Manifest = any;

/** Without kubectl the base alone can be read; test/cluster renders and applies the rest. */
export function kustomizations(): readonly string[] {
  const overlays = readdirSync(join(deployFolder, 'overlays')).map((name) => `overlays/${name}`);
  if (kubectl !== undefined) return ['.', ...overlays, 'uninstall'];
  console.log('      kubectl is not here: overlays are looked at by npm run test:cluster alone');
  return ['.'];
}

export function render(name: string): readonly Manifest[] {
  if (kubectl === undefined) return ['config', 'daemonset', 'rbac'].flatMap((each) => readManifests(`base/${each}.yaml`));
  return parseManifests(runSync(kubectl, ['kustomize', join(deployFolder, name)]).stdout);
}

/** The base with components; undefined where kubectl is not. */
export function renderWith(...components: readonly string[]): readonly Manifest[] | undefined {
  return renderOn('base', components);
}

/** An overlay with components, in this order, and an admin's patches; undefined where kubectl is not. */
export function renderOn(
  overlay: string,
  components: readonly string[],
  patches: readonly object[] = [],
): readonly Manifest[] | undefined {
  if (kubectl === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'sn-kustomize-'));
  const path = (name: string) => relative(realpathSync(folder), join(deployFolder, name));
  try {
    const all = { resources: [path(overlay)], components: components.map((name) => path(`components/${name}`)), patches };
    writeFileSync(join(folder, 'kustomization.yaml'), stringify(all));
    return parseManifests(runSync(kubectl, ['kustomize', folder]).stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function readManifests(file: string): readonly Manifest[] {
  return parseManifests(readFileSync(join(deployFolder, file), 'utf8'));
}

/** Every YAML file below a folder of deploy/. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(deployFolder, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(folder, name));
}

function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS();
  });
}

const kubectl = findKubectl();

/** The cluster's own where it was built, else the machine's. */
function findKubectl(): string | undefined {
  return [join(programsFolder(), 'kubectl'), 'kubectl'].find((program) => {
    const { exitCode } = runSync(program, ['version', '--client'], { stdio: 'ignore', reject: false });
    return exitCode === 0;
  });
}
