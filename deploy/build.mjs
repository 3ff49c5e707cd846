// Builds what ships into dist/: the executable (C, static) and the server as one bundle, with the one native library beside it.
// What is bundled needs no node_modules and starts in a third of the memory.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const final = join(root, 'dist');
// Built aside and put in place at the end: what runs from dist/ meanwhile sees the old files or the new ones.
const dist = join(root, `.cache/dist-${process.pid}`);
/**
 * How the servers are started. V8 and the C library take memory generously where there is plenty; these limits make them collect earlier
 * and share more, and cost nothing that can be measured. The threads are for what blocks in the kernel: deleting a veth takes 15 ms, fsync
 * as long as the disk.
 */
const limits = '--max-semi-space-size=1 --max-old-space-size=64 --optimize-for-size --v8-pool-size=1';
/**
 * Without V8's two optimizing compilers: 20 MB less, half of it their own code in memory. What the device plugin does is mostly asking
 * the kernel; a look at 512 VFs takes 3 ms more of processor time (45 instead of 42), an Allocate 0.1 ms.
 */
const unoptimized = `${limits} --no-opt --no-maglev`;
const shebang = (flags) => `#!/usr/bin/env -S UV_THREADPOOL_SIZE=8 MALLOC_ARENA_MAX=2 node ${flags}\n`;

/** zod brings its messages in fifty languages; ours are in host/explain.ts. */
const oneLanguage = {
  name: 'one language',
  setup: (bundle) => {
    bundle.onResolve({ filter: /locales\/index\.js$/ }, () => ({ path: 'none', namespace: 'locales' }));
    bundle.onLoad({ filter: /.*/, namespace: 'locales' }, () => ({ contents: 'export {};' }));
  },
};

const entries = {
  'smartnic-cni': { file: 'cni/main.ts', flags: limits },
  'smartnic-device-plugin': { file: 'device-plugin/main.ts', flags: unoptimized },
  'smartnic-forwarder': { file: 'host/forwarder/supervisor/main.ts', flags: limits },
  /** `smartnic COMMAND` for a person; the name without an ending is the runtime's executable. */
  smartnic: { file: 'deploy/smartnic.ts', flags: unoptimized },
  'smartnic-install': { file: 'deploy/install/main.ts', flags: limits },
};

mkdirSync(dist, { recursive: true });
execFileSync(process.execPath, [join(root, 'cni/shim/build.mjs'), join(dist, 'smartnic')], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
});
await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(Object.entries(entries).map(([name, { file }]) => [name, file])),
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
  plugins: [oneLanguage],
  banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
  logLevel: 'warning',
});
copyKoffi();
copyProto();
for (const [name, { flags }] of Object.entries(entries)) makeExecutable(join(dist, `${name}.mjs`), flags);
put();
for (const name of ['smartnic', ...Object.keys(entries).map((each) => `${each}.mjs`)]) {
  const file = join(final, name);
  console.log(`${name.padEnd(28)} ${Math.ceil(statSync(file).size / 1024)} KB`);
}

function makeExecutable(file, flags) {
  writeFileSync(file, shebang(flags) + readFileSync(file, 'utf8'));
  chmodSync(file, 0o755);
}

/** Read at run time by the gRPC library. */
function copyProto() {
  const files = readdirSync(join(root, 'proto')).filter((name) => name.endsWith('.proto'));
  for (const name of files) cpSync(join(root, 'proto', name), join(dist, 'proto', name));
}

function put() {
  const old = `${dist}-old`;
  if (existsSync(final)) renameSync(final, old);
  renameSync(dist, final);
  rmSync(old, { recursive: true, force: true });
}

/** koffi loads its prebuilt library by path, so it stays a package of its own: its scripts and this machine's library, nothing else. */
function copyKoffi() {
  const from = join(root, 'node_modules');
  const to = join(dist, 'node_modules');
  const scripts = ['package.json', 'LICENSE.txt', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js'];
  for (const file of scripts) cpSync(join(from, 'koffi', file), join(to, 'koffi', file));
  const library = `@koromix/koffi-linux-${process.arch}`;
  for (const libc of ['package.json', 'index.js', `linux_${process.arch}`])
    cpSync(join(from, library, libc), join(to, library, libc), { recursive: true });
}
