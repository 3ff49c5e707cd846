// Lays out the image's root folder: node deploy/image/root.mjs FOLDER. Runs in the Dockerfile's build stage, on Node alone.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const [root = ''] = process.argv.slice(2);
const dist = resolve(import.meta.dirname, '../../dist');
const programs = ['/usr/local/bin/node', '/usr/bin/env'];

for (const program of programs) {
  put(program);
  execFileSync('strip', ['--strip-unneeded', join(root, program)]);
}
for (const library of new Set([...programs, ...nativeModules(dist)].flatMap(librariesOf))) put(library);
cpSync(dist, join(root, 'opt/smartnic'), { recursive: true });
for (const name of ['tmp', 'run', 'var', 'etc', 'proc', 'sys', 'dev']) mkdirSync(join(root, name), { recursive: true });
symlinkSync('../run', join(root, 'var/run'));
writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/none\nsmartnic:x:65532:65532:smartnic:/:/none\n');
writeFileSync(join(root, 'etc/group'), 'root:x:0:\nsmartnic:x:65532:\n');

/** The file that `path` leads to, at `path`. */
function put(path) {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  cpSync(realpathSync(path), join(root, path));
}

/** As ldd finds them, the dynamic linker among them. */
function librariesOf(file) {
  const listed = execFileSync('ldd', [file], { encoding: 'utf8' });
  return [...listed.matchAll(/(?:=>\s+|^\s+)(\/\S+)/gm)].map(([, path]) => path);
}

function nativeModules(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.node'))
    .map((name) => join(folder, name));
}
