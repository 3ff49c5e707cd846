// Builds what ships into dist/: the executable and its helper (C, static), the servers as one bundle, and the one native library.
// What is bundled needs no node_modules and starts in a third of the memory.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const final = join(root, 'dist');
// Built aside and put in place at the end: what runs from dist/ meanwhile sees the old files or the new ones.
const dist = join(root, `.cache/dist-${process.pid}`);
/**
 * How our programs are started. V8 and the C library take memory generously where there is plenty; these limits make them collect earlier
 * and share more, and cost nothing that can be measured. The threads are for what blocks in the kernel: deleting a veth takes 15 ms, fsync
 * as long as the disk.
 */
const limits = '--max-semi-space-size=1 --max-old-space-size=64 --optimize-for-size --v8-pool-size=1';
/**
 * V8's two optimizing compilers are off: 10 to 20 MB less, a third of it their own code in memory. What we do is mostly asking the kernel and
 * others: an ADD takes as long (taking turns on one machine), a look at 512 VFs 3 ms more of processor time, an Allocate 0.1 ms.
 */
const compilers = '--no-opt --no-maglev';
/**
 * V8 does all its work on the main thread. Else a program may never end: its baseline compiler, on a thread of V8's, needs memory and waits for
 * the main thread to collect garbage, while Node's main thread at its end waits for V8's threads (nodejs/node issue 54918; about one start in
 * a thousand on a busy machine, and process.exit waits as well). The collections that are left to one thread are of 10 to 30 MB.
 */
const threads = '--single-threaded';
const flags = `${limits} ${compilers} ${threads}`;
const shebang = `#!/usr/bin/env -S UV_THREADPOOL_SIZE=8 MALLOC_ARENA_MAX=2 node ${flags}`;

/** An older Node would only say that something is not a function. */
const needsNode =
  `if (parseInt(process.versions.node) < 24) { console.error('smartnic needs Node 24 or newer, this is ' + process.version + '; ' + ` +
  `'put its folder first on the PATH'); process.exit(1); }`;

/** zod brings its messages in fifty languages; ours are in host/base/explain.ts. */
const oneLanguage = {
  name: 'one language',
  setup: (bundle) => {
    bundle.onResolve({ filter: /locales\/index\.js$/ }, () => ({ path: 'none', namespace: 'locales' }));
    bundle.onLoad({ filter: /.*/, namespace: 'locales' }, () => ({ contents: 'export {};' }));
  },
};

/**
 * An `import` of node:http asks for everything that it exports, and with that Node loads its WebSocket and fetch: a tenth of the time in
 * which a server starts, and 4 MB. Asked this way it gives only what is used.
 */
const httpAlone = {
  name: 'http alone',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^(node:)?https?$/ }, ({ path }) => ({
      path: path.replace('node:', ''),
      namespace: 'http alone',
    }));
    bundle.onLoad({ filter: /.*/, namespace: 'http alone' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('node:${path}');`,
    }));
  },
};

/**
 * Programs of one group share files. A file that two of them use comes whole, with all that any of them needs of it. So the device plugin is not
 * in the group of those that plug: the vnic types' files would bring the plugging code into it. That costs 1 MB on the disk. Beside others it
 * is several files, and takes 1.5 MB less memory than as one big file.
 */
const groups = [
  {
    'smartnic-cni': 'cni/main.ts',
    /** `smartnic COMMAND` for a person; the name without an ending is the runtime's executable. */
    smartnic: 'operator/main.ts',
  },
  {
    'smartnic-device-plugin': 'device-plugin/main.ts',
    'smartnic-forwarder': 'supervisor/main.ts',
    'smartnic-install': 'deploy/install/main.ts',
  },
];
const programs = groups.flatMap((group) => Object.keys(group));

/** In C: what the runtime starts, what the servers send where the kernel may keep them, and what kubelet asks them with. */
const compiled = ['smartnic', 'smartnic-errand', 'smartnic-probe'];

mkdirSync(dist, { recursive: true });
for (const name of compiled)
  execFileSync(process.execPath, [join(root, 'tools/shim.mjs'), join(dist, name)], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 180_000,
    killSignal: 'SIGKILL',
  });
const options = {
  absWorkingDir: root,
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
  plugins: [oneLanguage, httpAlone],
  banner: {
    js: [shebang, needsNode, `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`].join(
      '\n',
    ),
  },
  logLevel: 'warning',
};
for (const entryPoints of groups) await build({ ...options, entryPoints });
copyKoffi();
copyProto();
for (const name of programs) chmodSync(join(dist, `${name}.mjs`), 0o755);
put();
for (const name of [...compiled, ...programs.map((each) => `${each}.mjs`)]) {
  const file = join(final, name);
  console.log(`${name.padEnd(28)} ${Math.ceil(statSync(file).size / 1024)} KB`);
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
