// The linter refuses every form of an import that the table of rooms (tools/rooms.grit) does not allow, and whatever touches the machine
// outside host/ (tools/outside.grit).
import { deepEqual, fail, ok } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { runSync } from '../../../tools/program.ts';

const top = join(import.meta.dirname, '../../..');

/** By room: files that it may import, and files that it may not. Its own are allowed, and those of test/ are not, without being named. */
const rooms: Readonly<Record<string, { readonly may: readonly string[]; readonly not: readonly string[] }>> = {
  cni: { may: ['cni/claim', 'cni/protocol', 'network', 'vnic', 'host'], not: ['cni/server', 'operator', 'inventory/offer'] },
  'cni/server': {
    may: ['cni/main-network', 'cni/teardown', 'cni/attachment', 'host/ovs'],
    not: ['cni/shim', 'operator', 'device-plugin'],
  },
  'cni/main-network': { may: ['cni/protocol', 'host/files'], not: ['cni', 'cni/attachment', 'vnic'] },
  'cni/claim': { may: ['cni/teardown', 'network'], not: ['cni', 'cni/server', 'inventory/offer'] },
  'cni/teardown': { may: ['cni/attachment', 'vnic'], not: ['cni', 'cni/claim', 'network'] },
  'cni/attachment': { may: ['cni/protocol', 'vnic'], not: ['cni', 'cni/claim', 'cni/teardown'] },
  'cni/protocol': { may: ['network', 'host/base'], not: ['cni', 'cni/attachment', 'vnic'] },
  'device-plugin': { may: ['device-plugin/kubelet', 'inventory', 'inventory/config'], not: ['operator', 'cni', 'network'] },
  'device-plugin/kubelet': { may: ['device-plugin/answers', 'inventory', 'proto/generated'], not: ['device-plugin', 'cni'] },
  'device-plugin/answers': { may: ['inventory/offer', 'vnic', 'proto/generated/v1beta1'], not: ['device-plugin/kubelet'] },
  admission: {
    may: ['admission/server', 'admission/certificate', 'host/kube'],
    not: ['cni', 'device-plugin', 'operator', 'network'],
  },
  'admission/server': { may: ['admission/review', 'inventory/config'], not: ['admission/certificate', 'cni/claim'] },
  'admission/review': { may: ['network', 'vnic'], not: ['admission/server', 'cni/claim', 'inventory/config'] },
  'admission/certificate': { may: ['host/kube'], not: ['admission/server', 'network'] },
  operator: { may: ['operator/doctor', 'cni/server', 'inventory'], not: ['device-plugin', 'cni/claim', 'supervisor'] },
  'operator/doctor': { may: ['cni/teardown', 'inventory/offer', 'host/nic'], not: ['operator', 'device-plugin/kubelet'] },
  inventory: { may: ['inventory/offer', 'inventory/health', 'host/nic'], not: ['inventory/files', 'device-plugin', 'network'] },
  'inventory/files': { may: ['inventory/offer', 'inventory/config', 'vnic'], not: ['inventory/health', 'device-plugin'] },
  'inventory/health': { may: ['inventory/offer', 'inventory/config', 'vnic'], not: ['inventory/files', 'cni'] },
  'inventory/offer': { may: ['inventory/config', 'vnic'], not: ['inventory/health', 'inventory'] },
  'inventory/config': { may: ['vnic', 'host/files'], not: ['inventory/offer', 'network'] },
  network: { may: ['vnic', 'host/nic'], not: ['cni/protocol', 'inventory/config', 'host/netlink/wire'] },
  vnic: { may: ['host', 'host/nic'], not: ['network', 'cni', 'inventory/offer', 'host/ovs/ovsdb'] },
  supervisor: { may: ['host/forwarder'], not: ['vnic', 'cni', 'inventory/config'] },
  'deploy/install': { may: ['host/kube'], not: ['device-plugin/kubelet', 'cni/attachment', 'vnic'] },
  tools: { may: [], not: ['host/base', 'cni', 'tools/image'] },
  'tools/image': { may: [], not: ['host/base', 'deploy/install', 'tools'] },
  host: { may: ['host/ovs', 'host/forwarder'], not: ['vnic', 'cni', 'host/ovs/ovsdb', 'host/netlink/wire'] },
  'host/forwarder': { may: ['host/forwarder/xvio', 'host/nic', 'host/ovs'], not: ['host', 'host/kube', 'supervisor'] },
  'host/forwarder/xvio': { may: ['host/files'], not: ['host/forwarder', 'host', 'host/ovs'] },
  'host/kube': { may: ['host/base', 'proto/generated/v1'], not: ['host', 'host/nic', 'cni'] },
  'host/ovs': { may: ['host/ovs/ovsdb'], not: ['host', 'host/forwarder', 'host/nic'] },
  'host/ovs/ovsdb': { may: ['host/base'], not: ['host/ovs', 'host/kernel'] },
  'host/nic': { may: ['host/netlink', 'host/netlink/wire'], not: ['host', 'host/ovs', 'vnic'] },
  'host/program': { may: ['host/kernel'], not: ['host', 'host/netlink'] },
  'host/netlink': { may: ['host/netlink/wire', 'host/kernel'], not: ['host', 'host/nic'] },
  'host/netlink/rtnetlink': { may: ['host/netlink/wire'], not: ['host/netlink', 'host/nic'] },
  'host/netlink/wire': { may: ['host/kernel'], not: ['host/netlink', 'host/netlink/rtnetlink'] },
  'host/files': { may: ['host/kernel'], not: ['host', 'host/netlink'] },
  'host/kernel': { may: ['host/base'], not: ['host', 'host/files'] },
  'host/base': { may: [], not: ['host', 'host/kernel', 'cni/protocol'] },
};

/** Ways to import a file. */
const forms = [
  ['a value', "import { x } from 'PATH';\nconsole.log(x);\n"],
  ['a type', "import type { X } from 'PATH';\nexport const x: X[] = [];\n"],
  ['a type where it is needed', "export const x: import('PATH').X[] = [];\n"],
  ['handed on', "export { x } from 'PATH';\n"],
  ['all of it', "export * from 'PATH';\n"],
  ['for its effect', "import 'PATH';\n"],
  ['when it is needed', "export const x = async () => await import('PATH');\n"],
] as const;

/** A house of its own with the linter's rules. */
class House implements Disposable {
  readonly #root = mkdtempSync(join(tmpdir(), 'sn-house-'));

  write(file: string, text: string): string {
    const path = join(this.#root, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return file;
  }

  /** The files that break this rule. */
  refused(rule = 'tools/rooms.grit'): readonly string[] {
    for (const file of ['biome.json', '.gitignore', 'tools/rooms.grit', 'tools/outside.grit'])
      this.write(file, readFileSync(join(top, file), 'utf8'));
    const args = ['lint', '--reporter=json', '--max-diagnostics=5000'];
    const limits = { seconds: 120, reject: false, maxBuffer: 1 << 30 };
    const { stdout, stderr } = runSync(join(top, 'node_modules/.bin/biome'), args, { ...limits, cwd: this.#root });
    ok(stdout.startsWith('{'), stderr);
    const { diagnostics }: { readonly diagnostics: readonly Diagnostic[] } = JSON.parse(stdout);
    const files = diagnostics.filter(({ message }) => message.includes(rule)).map(({ location }) => location.path);
    return [...new Set(files)].toSorted();
  }

  [Symbol.dispose]() {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

describe('the table of rooms', () => {
  it('has every folder with sources', () => {
    // This does without git, because the build of the image has none.
    const made = ['.cache', '.git', 'coverage', 'dist', 'node_modules', 'proto', 'test'];
    const houses = readdirSync(top, { withFileTypes: true }).filter((each) => each.isDirectory() && !made.includes(each.name));
    const files = houses.flatMap(({ name }) =>
      readdirSync(join(top, name), { recursive: true, encoding: 'utf8' }).map((file) => join(name, file)),
    );
    const folders = files.filter((file) => /\.m?[jt]s$/.test(file)).map((file) => dirname(file));
    deepEqual([...new Set(folders)].toSorted(), Object.keys(rooms).toSorted());
  });

  it('refuses what it does not allow, in every form of an import, and nothing else', () => {
    using house = new House();
    const wrong: string[] = [];
    for (const [room, { may, not }] of Object.entries(rooms)) {
      const write = (target: string, at: number) => {
        const [, text] = forms[at] ?? fail();
        const path = relative(room, join(target, 'some-file.ts'));
        return house.write(
          join(room, `${target.replaceAll('/', '-')}-${at}.ts`),
          text.replace('PATH', path.startsWith('.') ? path : `./${path}`),
        );
      };
      for (const at of forms.keys()) {
        for (const target of [room, ...may]) write(target, at);
        for (const target of [...not, 'test/support']) wrong.push(write(target, at));
      }
    }
    deepEqual(house.refused(), wrong.toSorted());
  });

  it('knows which way leads up, and which only looks as if it did not', () => {
    using house = new House();
    const write = (file: string, path: string) => house.write(file, `import '${path}';\n`);
    write('cni/main.ts', './server/resident.ts');
    write('cni/server/right.ts', '../cni.ts');
    write('test/unit/host/base/x.test.ts', '../../../../host/base/errors.ts');
    write('test/machine/x.test.ts', '../../cni/cni.ts');
    const wrong = [
      write('cni/verb.ts', './server/resident.ts'),
      write('cni/server/wrong.ts', '../main.ts'),
      write('cni/claim/detour.ts', '../../host/../cni/server/socket.ts'),
      write('cni/claim/here.ts', './../server/socket.ts'),
      write('host/base/new-room/x.ts', '../errors.ts'),
      write('tools/program.mjs', '../host/base/errors.ts'),
      write('test/unit/host/base/y.test.ts', '../../../machine/x.test.ts'),
    ];
    deepEqual(house.refused(), wrong.toSorted());
  });
});

describe('files, sockets and programs', () => {
  const folders = Object.keys(rooms);
  const isHosts = (folder: string) => /^(host|tools)(\/|$)/.test(folder);
  const modules = ['node:fs', 'node:fs/promises', 'fs', 'node:net', 'node:dgram', 'node:child_process', 'execa', 'koffi'];

  it('are touched in host/ only, in every form of an import', () => {
    using house = new House();
    const wrong: string[] = [];
    for (const folder of folders)
      for (const [at, [, text]] of forms.entries())
        for (const module of modules) {
          const file = house.write(`${folder}/${module.replace(/\W/g, '-')}-${at}.ts`, text.replace('PATH', module));
          if (!isHosts(folder)) wrong.push(file);
        }
    deepEqual(house.refused('tools/outside.grit'), wrong.toSorted());
  });

  it('may be touched by tests, and by those whose very subject they are', () => {
    using house = new House();
    const write = (file: string) => house.write(file, "import 'node:fs';\n");
    for (const file of ['test/unit/cni/claim/x.test.ts', 'test/support/x.ts', 'cni/attachment/journal.ts']) write(file);
    const wrong = [write('cni/attachment/plan.ts')];
    deepEqual(house.refused('tools/outside.grit'), wrong);
  });

  it('are touched by all who are named for it', () => {
    const named = [
      ...readFileSync(join(top, 'tools/outside.grit'), 'utf8').matchAll(/\?:\.\*\/\)\?([\w/-]+)\/(?:\(\?:)?([\w|-]+)\)?\\\.ts/g),
    ];
    const files = named.flatMap(([, folder, names = '']) => names.split('|').map((name) => `${folder}/${name}.ts`));
    ok(files.length >= 2, files.join());
    for (const file of files) ok(/from 'node:(fs|net)/.test(readFileSync(join(top, file), 'utf8')), file);
  });
});

interface Diagnostic {
  readonly message: string;
  readonly location: { readonly path: string };
}
