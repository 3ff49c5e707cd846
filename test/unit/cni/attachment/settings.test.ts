import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSettings, readSettings } from '../../../../cni/attachment/settings.ts';

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
  'known keys: socket, stateDir, ovsdb, ovsdbTls, nodeName, kubernetes, ipamTimeout, portTimeout, lostPodAfter, kubeletDir, hookDir, hookTimeout, allowNoiommu, forwarder, metrics, draining, standby, logLevel';
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
    ['[1]', 'f: the document: [1] is not an object'],
    ['hello', 'f: the document: "hello" is not an object'],
    ['socket: run/cni.sock', 'f: socket: "run/cni.sock" is not an absolute path'],
    ['stateDir: 5', 'f: stateDir: 5 is not a string'],
    ['ovsdb: http://x', `f: ovsdb: "http://x" is not an OVSDB address; ${addressForms}`],
    ['ovsdbTls: {key: /k}', 'f: ovsdbTls.cert: is missing; ovsdbTls.ca: is missing'],
    ['nodeName: ""', 'f: nodeName: "" is empty'],
    ['kubernetes: {kubeconfg: /x}', 'f: unknown key "kubeconfg" in kubernetes; known keys: kubeconfig, disabled'],
    ['kubernetes: {disabled: 1}', 'f: kubernetes.disabled: 1 is not a boolean'],
    ['forwarder: {kind: vpp}', 'f: forwarder.kind: "vpp" is not one of xvio, testpmd, ovs-dpdk'],
    ['forwarder: {kind: xvio, portControl: tcp://h:1}', 'f: forwarder.portControl: "tcp://h:1" is not an endpoint ipc:///PATH'],
    ['forwarder: {kind: testpmd, workerCores: []}', 'f: forwarder.workerCores: [] is empty'],
    ['forwarder: {kind: ovs-dpdk, memory: 1}', 'f: unknown key "memory" in forwarder; known keys: kind'],
    ['forwarder: {kind: xvio, endpoint: x}', 'f: unknown key "endpoint" in forwarder; known keys: kind, portControl, stats'],
    ['forwarder: {}', 'f: forwarder.kind: is missing; it is one of xvio, testpmd, ovs-dpdk'],
    ['metrics: 9478', 'f: metrics: 9478 is not a string'],
    ['metrics: "9478"', 'f: metrics: "9478" is not HOST:PORT; write 127.0.0.1:9478, or off'],
    ['metrics: localhost:99999', 'f: metrics: "localhost:99999" is not HOST:PORT; write 127.0.0.1:9478, or off'],
    ['ipamTimeout: 0', 'f: ipamTimeout: 0 is not above 0'],
    ['ipamTimeout: 111', 'f: ipamTimeout: 111 is above the greatest, 110'],
    ['portTimeout: 10s', 'f: portTimeout: "10s" is not a number'],
    ['logLevel: loud', `f: logLevel: "loud" is not one of ${levels}`],
    ['logLevl: info', `f: unknown key "logLevl"; ${keys}`],
    ['logLevel: loud\nipamTimeout: soon', `f: ipamTimeout: "soon" is not a number; logLevel: "loud" is not one of ${levels}`],
    ['logLevel: info\nlogLevel: warn', 'f:2: is not YAML: Map keys must be unique'],
    ['a: b: c', 'f:1: is not YAML: Nested mappings are not allowed in compact mappings'],
    ['socket: /a\n\tstateDir: /b', 'f:2: is not YAML: Tabs are not allowed as indentation'],
    ['a: 1\n---\nb: 2', 'f:2: is not YAML: a second document begins here; one is allowed'],
    ['socket: *nowhere', 'f: is not YAML: Unresolved alias (the anchor must be set before the alias): nowhere'],
  ];
  for (const [text, message] of bad) {
    it(`is refused in one line: ${message}`, () => assert.throws(() => parseSettings(text, 'f'), { message }));
  }
});

describe("reading the node's configuration", () => {
  let dir: string;
  let path: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sn-settings-'));
    path = join(dir, 'config.yaml');
  });
  after(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  it('takes socket and state from the environment before the file', async () => {
    await writeFile(path, 'socket: /a\nstateDir: /b\nnodeName: n1\n');
    const plain = await readSettings({ SMARTNIC_CONFIG: path, NODE_NAME: 'n2' });
    assert.deepEqual([plain.socket, plain.stateDir, plain.nodeName], ['/a', '/b', 'n1']);
    const over = await readSettings({ SMARTNIC_CONFIG: path, SMARTNIC_SOCKET: '/c', SMARTNIC_STATE_DIR: '/d' });
    assert.deepEqual([over.socket, over.stateDir, over.draining], ['/c', '/d', false]);
    assert.equal((await readSettings({ SMARTNIC_CONFIG: path, SMARTNIC_DRAINING: 'true' })).draining, true);
    assert.equal((await readSettings({ SMARTNIC_CONFIG: path, SMARTNIC_METRICS: ':9478' })).metrics, ':9478');
    await assert.rejects(
      readSettings({ SMARTNIC_CONFIG: path, SMARTNIC_METRICS: '9478' }),
      /SMARTNIC_METRICS: metrics: .*HOST:PORT/,
    );
  });

  it("names the node by the file, NODE_NAME, the machine's name, in this order", async () => {
    await writeFile(path, '');
    assert.equal((await readSettings({ SMARTNIC_CONFIG: path, NODE_NAME: 'n2' })).nodeName, 'n2');
    assert.equal((await readSettings({ SMARTNIC_CONFIG: path })).nodeName, hostname());
  });

  it('fails for a file that SMARTNIC_CONFIG names and that cannot be read, naming it', async () => {
    const absent = join(dir, 'absent.yaml');
    await assert.rejects(readSettings({ SMARTNIC_CONFIG: absent }), (error: Error) =>
      error.message.startsWith(`${absent}: the node's configuration can't be read: ENOENT`),
    );
    await assert.rejects(readSettings({ SMARTNIC_CONFIG: dir }), /the node's configuration can't be read: EISDIR/);
  });
});
