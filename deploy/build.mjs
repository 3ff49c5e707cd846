// Builds what ships into dist/: the executable (C, static) and the server as one bundle, with the one native library beside it.
// What is bundled needs no node_modules and starts in a third of the memory.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const entries = { 'smartnic-cni': 'cni/main.ts', 'smartnic-device-plugin': 'device-plugin/main.ts' };

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
execFileSync(process.execPath, [join(root, 'cni/shim/build.mjs')], { cwd: root, stdio: 'inherit' });
await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(join(root, file)))),
  outdir: dist,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  // What is imported only when it is needed stays in a file of its own and costs nothing until then.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minify: true,
  keepNames: true,
  external: ['koffi'],
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  logLevel: 'warning',
});
copyKoffi();
for (const name of ['smartnic', ...Object.keys(entries).map((each) => `${each}.mjs`)]) {
  const file = join(dist, name);
  if (existsSync(file)) console.log(`${name.padEnd(28)} ${Math.ceil(statSync(file).size / 1024)} KB`);
}

/** koffi loads its prebuilt library by path, so it stays a package of its own: its index and this machine's library, nothing else. */
function copyKoffi() {
  const from = join(root, 'node_modules');
  const to = join(dist, 'node_modules');
  for (const file of ['package.json', 'index.js', 'index.cjs', 'indirect.js', 'indirect.cjs', 'LICENSE.txt', 'lib']) {
    if (existsSync(join(from, 'koffi', file))) cpSync(join(from, 'koffi', file), join(to, 'koffi', file), { recursive: true });
  }
  const library = `koffi-linux-${process.arch}`;
  cpSync(join(from, '@koromix', library), join(to, '@koromix', library), { recursive: true });
}
