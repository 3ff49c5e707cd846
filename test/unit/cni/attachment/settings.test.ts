import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSettings } from '../../../../cni/attachment/settings.ts';
import { readSettings, settingsFile } from '../../../../cni/attachment/settings-file.ts';

const defaults = {
  socket: '/run/smartnic/cni.sock',
  stateDir: '/var/lib/smartnic',
  ovsdb: 'unix:/var/run/openvswitch/db.sock',
  kubernetes: { disabled: false },
  ipamTimeout: 30,
  portTimeout: 10,
  lostPodAfter: 300,
  kubeletDir: '/var/lib/kubelet',
  hookDir: '/etc/smartnic/hooks.d',
  hookTimeout: 10,
  allowNoiommu: false,
  metrics: '127.0.0.1:9478',
  draining: false,
  standby: false,
  logLevel: 'info',
};
const keys =
  'the keys here are socket, stateDir, ovsdb, ovsdbTls, nodeName, kubernetes, ipamTimeout, portTimeout, lostPodAfter, kubeletDir, hookDir, hookTimeout, allowNoiommu, bounds, forwarder, metrics, draining, standby, logLevel';
const levels = 'trace, debug, info, warn, error, fatal, silent';
const addressForms = 'write unix:/absolute/path, tcp:HOST:PORT or ssl:HOST:PORT, an IPv6 host in brackets';

describe("the node's configuration", () => {
  for (const text of ['', '# nothing\n', '~', '{}', '---\n']) {
    it(`is all defaults for ${JSON.stringify(text)}`, () => assert.deepEqual(parseSettings(text, 'f'), defaults));
  }

  it('may set every key', () => {
    const all = {
      socket: '/a/cni.sock',
      stateDir: '/a/state',
      ovsdb: 'ssl:192.0.2.1:6640',
      ovsdbTls: { key: '/k', cert: '/c', ca: '/ca' },
      nodeName: 'n1',
      kubernetes: { kubeconfig: '/k', disabled: true },
      ipamTimeout: 0.5,
      portTimeout: 110,
      lostPodAfter: 86_400,
      kubeletDir: '/var/lib/k0s/kubelet',
      hookDir: '/opt/hooks',
      hookTimeout: 60,
      allowNoiommu: true,
      forwarder: { kind: 'xvio', portControl: 'ipc:///a', stats: 'ipc:///b' },
      metrics: 'off',
      draining: true,
      standby: true,
      logLevel: 'silent',
    };
    assert.deepEqual(parseSettings(JSON.stringify(all), 'f'), all);
  });

  const bad: readonly (readonly [string, string])[] = [
    ['[1]', 'f:1: the document: [1] is not an object'],
    ['hello', 'f:1: the document: "hello" is not an object'],
    ['socket: run/cni.sock', 'f:1: socket: "run/cni.sock" is not an absolute path'],
    ['stateDir: 5', 'f:1: stateDir: 5 is not a string'],
    ['ovsdb: http://x', `f:1: ovsdb: "http://x" is not an OVSDB address; ${addressForms}`],
    ['ovsdbTls: {key: /k}', 'f:1: ovsdbTls.cert: is missing; add it\nf:1: ovsdbTls.ca: is missing; add it'],
    ['nodeName: ""', 'f:1: nodeName: "" is empty'],
    ['kubernetes: {kubeconfg: /x}', 'f:1: unknown key "kubeconfg" in kubernetes; the keys here are kubeconfig, disabled'],
    ['kubernetes: {disabled: 1}', 'f:1: kubernetes.disabled: 1 is not a boolean'],
    ['forwarder: {kind: vpp}', 'f:1: forwarder.kind: "vpp" is not one of xvio, testpmd, ovs-dpdk'],
    ['forwarder: {kind: xvio, portControl: tcp://h:1}', 'f:1: forwarder.portControl: "tcp://h:1" is not an endpoint ipc:///PATH'],
    ['forwarder: {kind: testpmd, workerCores: []}', 'f:1: forwarder.workerCores: [] is empty'],
    ['forwarder: {kind: ovs-dpdk, memory: 1}', 'f:1: unknown key "memory" in forwarder; the keys here are kind'],
    [
      'forwarder: {kind: xvio, endpoint: x}',
      'f:1: unknown key "endpoint" in forwarder; the keys here are kind, portControl, stats',
    ],
    ['forwarder: {}', 'f:1: forwarder.kind: is missing; it is one of xvio, testpmd, ovs-dpdk'],
    ['metrics: 9478', 'f:1: metrics: 9478 is not a string'],
    ['metrics: "9478"', 'f:1: metrics: "9478" is not HOST:PORT; write 127.0.0.1:9478, or off'],
    ['metrics: localhost:99999', 'f:1: metrics: "localhost:99999" is not HOST:PORT; write 127.0.0.1:9478, or off'],
    ['ipamTimeout: 0', 'f:1: ipamTimeout: 0 is not above 0'],
    ['ipamTimeout: 111', 'f:1: ipamTimeout: 111 is above the greatest, 110'],
    ['portTimeout: 10s', 'f:1: portTimeout: "10s" is not a number'],
    ['logLevel: loud', `f:1: logLevel: "loud" is not one of ${levels}`],
    ['logLevl: info', `f:1: unknown key "logLevl"; ${keys}`],
    [
      'logLevel: loud\nipamTimeout: soon',
      `f:2: ipamTimeout: "soon" is not a number\nf:1: logLevel: "loud" is not one of ${levels}`,
    ],
    ['logLevel: info\nlogLevel: warn', 'f:2: Map keys must be unique; take one of the two out'],
    ['a: b: c', 'f:1: Nested mappings are not allowed in compact mappings; the file must be one YAML document'],
    ['socket: /a\n\tstateDir: /b', 'f:2: Tabs are not allowed as indentation; the file must be one YAML document'],
    ['a: 1\n---\nb: 2', 'f:2: a second document begins here; the file must be one YAML document'],
    [
      'socket: *nowhere',
      'f:1: Unresolved alias (the anchor must be set before the alias): nowhere; write the values out instead of using aliases',
    ],
  ];
  for (const [text, message] of bad) {
    it(`is refused: ${message.replaceAll('\n', ', ')}`, () => assert.throws(() => parseSettings(text, 'f'), { message }));
  }
});

describe("reading the node's configuration", () => {
  let dir: string;
  let path: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sn-settings-'));
    path = join(dir, 'config.yaml');
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });
  const read = (more: Readonly<Record<string, string>> = {}) =>
    readSettings({ SMARTNIC_CONFIG: path, SMARTNIC_STATE_DIR: dir, ...more });

  it('takes socket and state from the environment before the file', async () => {
    await writeFile(path, 'socket: /a\nstateDir: /b\nnodeName: n1\n');
    const plain = readSettings({ SMARTNIC_CONFIG: path, NODE_NAME: 'n2' }).settings;
    assert.deepEqual([plain.socket, plain.stateDir, plain.nodeName], ['/a', '/b', 'n1']);
    const over = read({ SMARTNIC_SOCKET: '/c', SMARTNIC_STATE_DIR: '/d' }).settings;
    assert.deepEqual([over.socket, over.stateDir, over.draining], ['/c', '/d', false]);
    assert.equal(read({ SMARTNIC_DRAINING: 'true' }).settings.draining, true);
    assert.equal(read({ SMARTNIC_METRICS: ':9478' }).settings.metrics, ':9478');
    assert.throws(() => read({ SMARTNIC_METRICS: '9478' }), /SMARTNIC_METRICS:1: metrics: .*HOST:PORT/);
  });

  it("names the node by the file, NODE_NAME, the machine's name, in this order", async () => {
    await writeFile(path, '');
    assert.equal(read({ NODE_NAME: 'n2' }).settings.nodeName, 'n2');
    assert.equal(read().settings.nodeName, hostname());
  });

  it('fails for a file that SMARTNIC_CONFIG names and that cannot be read, naming it', () => {
    const absent = join(dir, 'absent.yaml');
    assert.throws(
      () => read({ SMARTNIC_CONFIG: absent }),
      (error: Error) => error.message.startsWith(`${absent}: the node's configuration can't be read: ENOENT`),
    );
    assert.throws(() => read({ SMARTNIC_CONFIG: dir }), /the node's configuration can't be read: EISDIR/);
  });

  it('gives the last good one while the file is refused or gone, with every problem and its line', async () => {
    await writeFile(path, 'ipamTimeout: soon\nportTimeut: 3\n');
    assert.throws(() => read(), /config\.yaml:1: ipamTimeout: "soon" is not a number/);
    const file = settingsFile({ SMARTNIC_CONFIG: path, SMARTNIC_STATE_DIR: dir });
    file.lastGood.write(path, 'ipamTimeout: 7\n');
    const { settings, problems } = read();
    assert.equal(settings.ipamTimeout, 7);
    assert.equal(problems.length, 2);
    assert.match(problems[0] ?? '', /^\S+\/config\.yaml:1: ipamTimeout: "soon" is not a number$/);
    assert.match(problems[1] ?? '', /^\S+\/config\.yaml:2: unknown key "portTimeut"; the keys here are socket, /);
    await rm(path);
    assert.match(read().problems.join(), /can't be read: ENOENT/);
    await writeFile(path, 'ipamTimeout: 8\n');
    assert.deepEqual([read().settings.ipamTimeout, read().problems], [8, []]);
  });

  it('names what is wrong with the file where the last good one is damaged, or is of another file', async () => {
    await writeFile(path, 'ipamTimeout: soon\n');
    const kept = join(dir, 'last-good-config.json');
    for (const text of [
      '{',
      '{}',
      '[]',
      JSON.stringify({ file: '/other', text: '' }),
      JSON.stringify({ file: path, text: 'a: 1' }),
    ]) {
      await writeFile(kept, text);
      assert.throws(() => read(), /config\.yaml:1: ipamTimeout: "soon" is not a number/);
    }
  });
});
