// Go, in the version that go.mod wants: the machine's own, or fetched by it. Any Go since 1.19 (Debian's) can fetch a newer one: Go's
// toolchains are a module like others, verified by Go's checksum database.
import { readFileSync } from 'node:fs';
import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../tools/program.ts';

export const module = join(import.meta.dirname, 'go');

/** No Go toolchain, or the modules can't be had. */
export class ModulesUnavailable extends Error {
  override readonly name = 'ModulesUnavailable';
}

const places = ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go'];

/** @returns the path of the `go` command. @throws ModulesUnavailable */
export async function findGo(): Promise<string> {
  const [, wanted = ''] = /^go (\S+)/m.exec(readFileSync(join(module, 'go.mod'), 'utf8')) ?? [];
  let older: string | undefined;
  for (const go of places) {
    const { stdout, failed } = await run(go, ['env', 'GOVERSION'], { reject: false, env: { GOTOOLCHAIN: 'local' } });
    if (failed) continue;
    if (stdout.replace('go', '').localeCompare(wanted, undefined, { numeric: true }) >= 0) return go;
    older ??= go;
  }
  if (older !== undefined) return await fetchGo(older, wanted);
  throw new ModulesUnavailable(
    'there is no Go toolchain in PATH or /usr/local/go; of any version: it fetches the one that is needed',
  );
}

async function fetchGo(go: string, version: string): Promise<string> {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  console.log(`    fetching Go ${version}`);
  const { failed, stdout, stderr } = await run(
    go,
    ['mod', 'download', '-json', `golang.org/toolchain@v0.0.1-go${version}.linux-${arch}`],
    { seconds: 600, tries: 2, reject: false, cwd: '/', env: { GOTOOLCHAIN: 'local', GOFLAGS: '', GO111MODULE: 'on' } },
  );
  const { Dir: dir, Error: words } = failed && stdout === '' ? { Error: stderr } : JSON.parse(stdout);
  if (dir === undefined) throw new ModulesUnavailable(`Go ${version} could not be fetched: ${words}`);
  // Modules have no executables; Go does the same when it changes to another toolchain by itself.
  for (const folder of [join(dir, 'bin'), join(dir, `pkg/tool/linux_${arch}`)])
    for (const name of await readdir(folder)) await chmod(join(folder, name), 0o755);
  return join(dir, 'bin/go');
}
