// The install step and the uninstaller, on folders in place of a node's.
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { putFile } from '../../../deploy/install/put-file.ts';
import { run, start } from '../../../tools/program.ts';
import { until } from '../../support/until.ts';

const program = join(import.meta.dirname, '../../../dist/smartnic-install.mjs');

describe('the install step', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sn-install-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('puts the executable there, to be run by everybody, and nothing beside it', async () => {
    await run(process.execPath, [program, 'install', '--bin-dir', dir]);
    deepEqual(readdirSync(dir), ['smartnic']);
    equal(statSync(join(dir, 'smartnic')).mode & 0o777, 0o755);
    const { stdout } = await run(join(dir, 'smartnic'), ['--version'], { env: {} });
    match(stdout, /^\d+\.\d+\.\d+$/);
  });

  it('replaces an executable that is running, and leaves one alone that is the same', async () => {
    const [from, path] = [join(dir, 'new'), join(dir, 'smartnic')];
    writeFileSync(path, readFileSync('/bin/sleep'), { mode: 0o755 });
    const running = start(path, ['60'], { reject: false });
    writeFileSync(from, 'another');
    writeFileSync(join(dir, '.smartnic.new'), 'of an install that was cut short');
    try {
      match(await putFile({ from, folder: dir, name: 'smartnic', mode: 0o755 }), /is installed, 7 bytes$/);
    } finally {
      running.kill();
    }
    const { ino } = statSync(path);
    match(await putFile({ from, folder: dir, name: 'smartnic', mode: 0o755 }), /is up to date$/);
    equal(statSync(path).ino, ino);
    deepEqual(readdirSync(dir).sort(), ['new', 'smartnic']);
  });

  it('names the file and the remedy when it may not', async () => {
    const folder = join(dir, 'nowhere');
    await rejects(
      putFile({ from: program, folder, name: 'smartnic', mode: 0o755 }),
      /install .*\/nowhere\/smartnic: .*is the node's folder mounted there/,
    );
  });

  it('says which word it does not understand', async () => {
    await rejects(run(process.execPath, [program, 'instal']), /unknown command "instal"/);
    await rejects(run(process.execPath, [program, 'install']), /needs --bin-dir/);
  });
});

describe('what is shipped', () => {
  for (const name of ['smartnic', 'smartnic-cni', 'smartnic-device-plugin', 'smartnic-forwarder'])
    it(`${name}.mjs says on an older Node that it needs a newer one`, async () => {
      const older = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
      const args = ['--import', `data:text/javascript,${encodeURIComponent(older)}`, join(dirname(program), `${name}.mjs`)];
      await rejects(run(process.execPath, args), {
        exitCode: 1,
        stderr: /^smartnic needs Node 24 or newer, this is v\S+; put its folder/,
      });
    });
});

describe('the uninstaller', () => {
  let root: string;
  const put = (path: string, text = '') => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const left = async () => (await run(process.execPath, [program, 'left', '--root', root], { reject: false })).stdout;
  const journal = 'var/lib/smartnic/attachments/0123456789ab.jsonl';
  const foreign = [
    'opt/cni/bin/bridge',
    'etc/cni/net.d/00-multus.conf',
    'run/k8s.cni.cncf.io/devinfo/dp/other-device.json',
    'var/lib/cni/lease',
  ];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sn-uninstall-'));
    for (const path of foreign) put(path);
    for (const path of ['opt/cni/bin/smartnic', 'etc/cni/net.d/10-smartnic.conflist', 'var/lib/smartnic/lock']) put(path);
    put('run/k8s.cni.cncf.io/devinfo/dp/smartnic.io-direct-0000:41:00.2-device.json');
    put('run/k8s.cni.cncf.io/devinfo/dp/.smartnic-files', 'smartnic.io-direct-0000:41:00.2-device.json\n');
    put('var/lib/kubelet/plugins_registry/smartnic-smartnic.io_direct-0123abcd.sock');
    mkdirSync(join(root, 'run/smartnic/vhost/0000:41:00.2'), { recursive: true });
    put(
      journal,
      JSON.stringify({
        version: 1,
        phase: 'adding',
        attachment: { pod: { podNamespace: 'shop', podName: 'web' }, ifname: 'net1', ipam: { type: 'dhcp' } },
      }),
    );
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('waits for the server and for the last pod, then takes everything of ours and nothing else', async () => {
    const running = start(process.execPath, [program, 'uninstall', '--root', root], {
      reject: false,
      all: true,
      buffer: false,
    });
    let said = '';
    running.all.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    const server = createServer((socket) => socket.destroy());
    try {
      await until(async () => said.includes('waiting for the CNI server'), 'it waits for the server');
      server.listen(join(root, 'run/smartnic/cni.sock'));
      await until(
        async () => said.includes('waiting for 1 interfaces of pods; delete or move these: shop/web net1'),
        'it waits for the pod',
      );
      appendFileSync(join(root, journal), '\n\n{"phase":"deleting"}\n\n{"phase":"deleting","left":["port","addresses"]}\n');
      await until(
        async () => said.includes('shop/web net1, deleted but for its port, addresses (IPAM plugin dhcp)'),
        'it says what the pod waits for',
      );
      equal(existsSync(join(root, 'opt/cni/bin/smartnic')), true);
      rmSync(join(root, journal));
      await until(async () => said.includes('nothing of smartnic is left'), 'it is done');
      equal(await left(), '');
    } finally {
      server.close();
      running.kill();
    }
    deepEqual(
      foreign.filter((path) => !existsSync(join(root, path))),
      [],
    );
    equal(existsSync(join(root, 'run/smartnic')) || existsSync(join(root, 'var/lib/smartnic')), false);
    equal((await running).exitCode, 0);
  });

  it('lists what is left', async () => {
    const found = (await left()).split('\n').map((path) => path.slice(root.length + 1));
    deepEqual(found, [
      'etc/cni/net.d/10-smartnic.conflist',
      'opt/cni/bin/smartnic',
      'var/lib/kubelet/plugins_registry/smartnic-smartnic.io_direct-0123abcd.sock',
      'run/k8s.cni.cncf.io/devinfo/dp/smartnic.io-direct-0000:41:00.2-device.json',
      'run/k8s.cni.cncf.io/devinfo/dp/.smartnic-files',
      'run/smartnic',
      'var/lib/smartnic',
    ]);
  });
});
