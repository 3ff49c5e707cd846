// Builds what ships into dist/: the small C programs (static), two bundles of the Node programs, and the one native library.
// The bundles need no node_modules, and they start in a third of the memory.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const final = join(root, 'dist');
// It builds in a folder beside dist/ and renames that at the end. So a program that runs from dist/ sees only old files or only new ones.
const dist = join(root, `.cache/dist-${process.pid}`);
/**
 * The options with which our programs start. V8 and the C library use much memory where there is much. With these limits they collect earlier
 * and share more, at no cost that can be measured. The threads are for calls that block in the kernel: deleting a veth takes 15 ms, and an
 * fsync takes as long as the disk.
 */
const limits = '--max-semi-space-size=1 --max-old-space-size=64 --optimize-for-size --v8-pool-size=1';
/**
 * V8's two optimizing compilers are off. This saves 10 to 20 MB, a third of it their own code. Our programs mostly ask the kernel and others.
 * So an ADD takes as long as with them (measured in turns on one machine), a look at 512 VFs takes 3 ms more CPU, and an Allocate 0.1 ms more.
 */
const compilers = '--no-opt --no-maglev';
/**
 * V8 does all its work on the main thread. Otherwise a program may hang at its end: V8's baseline compiler, on a thread of its own, waits for the
 * main thread to collect garbage, while the main thread waits for V8's threads (nodejs/node issue 54918). That happens in about one of a
 * thousand starts on a busy machine, even with process.exit. Now one thread collects the garbage, which is only 10 to 30 MB.
 */
const threads = '--single-threaded';
/**
 * The admission server reads all networks when it starts, and makes its certificate. So the C library gives back what it used for a moment (4 MB), and
 * V8 collects at 16 MB for the first time, not at half of what is allowed. It needs no more threads than Node has. The kernel takes no more than
 * 255 characters of such a line.
 */
const frugal = { environment: 'MALLOC_TRIM_THRESHOLD_=65536 MALLOC_ARENA_MAX=1', flags: ' --initial-old-space-size=16' };
const usual = { environment: 'UV_THREADPOOL_SIZE=8 MALLOC_ARENA_MAX=2', flags: '' };
const shebang = ({ environment, flags }) => `#!/usr/bin/env -S ${environment} node ${limits} ${compilers} ${threads}${flags}`;

/** An older Node would only complain that something is not a function. */
const needsNode =
  `if (parseInt(process.versions.node) < 24) { console.error('smartnic needs Node 24 or newer, this is ' + process.version + '; ' + ` +
  `'put its folder first on the PATH'); process.exit(1); }`;

/** zod has its messages in fifty languages. We use our own (host/base/explain.ts). */
const oneLanguage = {
  name: 'one language',
  setup: (bundle) => {
    bundle.onResolve({ filter: /locales\/index\.js$/ }, () => ({ path: 'none', namespace: 'locales' }));
    bundle.onLoad({ filter: /.*/, namespace: 'locales' }, () => ({ contents: 'export {};' }));
  },
};

/**
 * An `import` of node:http takes everything that it exports. For that Node loads its WebSocket and fetch, which takes a tenth of a server's
 * start and 4 MB. Asked in this way, it gives only what is used.
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
 * The admission server needs the names of the vnic types, and with them comes the code that plugs. It never calls it, so it does not load
 * koffi's library either, which takes 2 MB. A call would still load it.
 */
const koffiLater = {
  name: 'koffi later',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^koffi$/ }, ({ namespace }) =>
      namespace === 'koffi later' ? { path: 'koffi', external: true } : { path: 'koffi', namespace: 'koffi later' },
    );
    bundle.onLoad({ filter: /.*/, namespace: 'koffi later' }, () => ({
      contents: `
        const koffi = () => require('koffi');
        const later = (find, known) => Object.assign((...args) => (known ??= find())(...args), { async: (...args) => (known ??= find()).async(...args) });
        export default {
          load: (library) => ({ func: (prototype) => later(() => koffi().load(library).func(prototype)) }),
          errno: (...args) => koffi().errno(...args),
          get os() { return koffi().os; },
          get node() { return koffi().node; },
        };`,
    }));
  },
};

/**
 * Programs of one group share files. A file that two of them use contains everything that any of them needs from it. So the device plugin is not
 * in the group that plugs. Otherwise the vnic types' files would bring the plugging code with them. This costs 1 MB on the disk. In a group the
 * device plugin consists of several files and takes 1.5 MB less memory than as one big file.
 */
const groups = [
  {
    'smartnic-cni': 'cni/main.ts',
    /** `smartnic COMMAND` for a person. The runtime's executable has the same name, but no ending. */
    smartnic: 'operator/main.ts',
  },
  {
    'smartnic-device-plugin': 'device-plugin/main.ts',
    'smartnic-forwarder': 'supervisor/main.ts',
    'smartnic-install': 'deploy/install/main.ts',
  },
  {
    'smartnic-admission': 'admission/main.ts',
  },
];
const programs = groups.flatMap((group) => Object.keys(group));

/** The C programs: the runtime starts the first, the servers start the second where the kernel may block, and kubelet's probes start the third. */
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
  // A module that is imported only when needed stays in its own file, and costs nothing until then.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minify: true,
  keepNames: true,
  external: ['koffi'],
  plugins: [oneLanguage, httpAlone],
  logLevel: 'warning',
};
for (const entryPoints of groups) {
  const isAdmission = 'smartnic-admission' in entryPoints;
  const first = shebang(isAdmission ? frugal : usual);
  await build({
    ...options,
    entryPoints,
    ...(isAdmission ? { plugins: [...options.plugins, koffiLater], external: [] } : {}),
    banner: {
      js: [first, needsNode, `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`].join(
        '\n',
      ),
    },
  });
}
copyKoffi();
copyProto();
for (const name of programs) chmodSync(join(dist, `${name}.mjs`), 0o755);
put();
for (const name of [...compiled, ...programs.map((each) => `${each}.mjs`)]) {
  const file = join(final, name);
  console.log(`${name.padEnd(28)} ${Math.ceil(statSync(file).size / 1024)} KB`);
}

/** The gRPC library reads these files at run time. */
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

/** koffi loads its prebuilt library by path, so it stays a package: only its scripts and this machine's library are copied. */
function copyKoffi() {
  const from = join(root, 'node_modules');
  const to = join(dist, 'node_modules');
  const scripts = ['package.json', 'LICENSE.txt', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js'];
  for (const file of scripts) cpSync(join(from, 'koffi', file), join(to, 'koffi', file));
  const library = `@koromix/koffi-linux-${process.arch}`;
  for (const libc of ['package.json', 'index.js', `linux_${process.arch}`])
    cpSync(join(from, library, libc), join(to, library, libc), { recursive: true });
}
