// IPAM that fails, hangs and lies: what the runtime is told, that its DEL was called, and that nothing is left.
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codes } from '../../cni/protocol/errors.ts';
import { refused, succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { fails, good, type IpamPlugins, ipamPlugins, says } from '../support/ipam-plugin.ts';
import { containerId, network, type TestNode } from '../support/node.ts';

describe('IPAM', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  let plugin: IpamPlugins['plugin'];
  let file: IpamPlugins['file'];
  let calls: IpamPlugins['calls'];
  cleanNode({ settings: 'ipamTimeout: 1\n' }, (given) => {
    ({ node, undo } = given);
    ({ plugin, file, calls } = ipamPlugins(node));
  });

  const config = (type = 'tried', more: object = {}) => network(node, { ipam: { type }, ...more });
  const tried = async (how: object = config()) => {
    const pod = undo.use(await node.pod());
    return { containerId: containerId(), netns: pod.path, config: how };
  };

  it('gives the interface what a sound plugin says, whatever interface that names', async () => {
    await plugin({ ADD: good.replace('"gateway"', '"interface":7,"gateway"') });
    const { result, check } = undo.use(await attach(node, config()));
    assert.deepEqual(result.ips, [{ address: '10.5.0.2/24', gateway: '10.5.0.1', interface: 1 }]);
    succeeded(await check());
  });

  it('hands over the configuration and the environment as they came', async () => {
    const asked = config('tried', { args: { cni: { ips: ['10.5.0.2'] } }, runtimeConfig: { ips: ['10.5.0.3/24'] } });
    await plugin({ ADD: `printf %s "$stdin" > ${node.dir}/stdin; env > ${node.dir}/env; ${good}` });
    const { call } = undo.use(await attach(node, asked, { args: 'IgnoreUnknown=1;IP=10.5.0.2' }));
    assert.deepEqual(JSON.parse(await readFile(join(node.dir, 'stdin'), 'utf8')), asked);
    const env = await readFile(join(node.dir, 'env'), 'utf8');
    for (const line of [
      `CNI_NETNS=${call.netns}`,
      'CNI_IFNAME=eth0',
      'CNI_ARGS=IgnoreUnknown=1;IP=10.5.0.2',
      `CNI_CONTAINERID=${call.containerId}`,
    ]) {
      assert.ok(env.includes(`${line}\n`), line);
    }
  });

  const wrong: Readonly<Record<string, readonly [script: string, code: number, words: RegExp]>> = {
    'fails with a coded error': [fails('{"code":11,"msg":"pool is busy"}'), 11, /^IPAM plugin tried: pool is busy$/],
    'fails with a code of its own': [fails('{"cniVersion":"1.0.0","code":142,"msg":"pool is full"}'), 142, /pool is full/],
    'fails with garbage': [fails('panic: runtime error'), codes.ipamFailed, /IPAM plugin tried: ADD ended with status 1/],
    'fails without a word': ['exit 1', codes.ipamFailed, /IPAM plugin tried: ADD ended with status 1/],
    'is killed': ['kill -9 $$', codes.ipamFailed, /IPAM plugin tried: ADD: .*died of signal 9/],
    hangs: ['exec sleep 3', codes.ipamFailed, /did not end within 1000 ms and was killed/],
    'leaves its stdout to a program that hangs': ['sleep 3', codes.ipamFailed, /did not end within 1000 ms and was killed/],
    'answers with text': [says('10.5.0.2/24'), codes.ipamFailed, /answered ADD with something that is no result/],
    'answers with half a result': [says('{"ips":[{"address":"10.5.0.2/24"}'), codes.ipamFailed, /no result/],
    'answers nothing': ['true', codes.ipamFailed, /no result/],
    'answers null': [says('null'), codes.ipamFailed, /no result/],
    'answers a list': [says('[]'), codes.ipamFailed, /no result/],
    'answers an empty object': [says('{}'), codes.ipamFailed, /answered ADD without an address/],
    'answers no addresses': [says('{"cniVersion":"1.0.0","ips":[]}'), codes.ipamFailed, /answered ADD without an address/],
    'answers in the words of CNI 0.2.0': [
      says('{"cniVersion":"0.2.0","ip4":{"ip":"10.5.0.2/24"}}'),
      codes.ipamFailed,
      /IPAM plugin tried answered ADD in CNI version "0\.2\.0"; known are 0\.3\.0, .*1\.1\.0$/,
    ],
    'answers in a CNI version that is not known yet': [
      says('{"cniVersion":"2.0.0","ips":[{"address":"10.5.0.2/24"}]}'),
      codes.ipamFailed,
      /answered ADD in CNI version "2\.0\.0"/,
    ],
    'answers a bad address': [
      says('{"ips":[{"address":"10.5.0.300/24"}]}'),
      codes.ipamFailed,
      /ips\.0\.address: "10\.5\.0\.300\/24"/,
    ],
    'answers an address without a prefix': [
      says('{"ips":[{"address":"10.5.0.2"}]}'),
      codes.ipamFailed,
      /is not an address with a prefix length/,
    ],
    'answers too long a prefix': [
      says('{"ips":[{"address":"10.5.0.2/33"}]}'),
      codes.ipamFailed,
      /ips\.0\.address: "10\.5\.0\.2\/33"/,
    ],
    'answers a gateway that is none': [
      says('{"ips":[{"address":"10.5.0.2/24","gateway":"up"}]}'),
      codes.ipamFailed,
      /ips\.0\.gateway: "up"/,
    ],
    'answers a route that is none': [
      says('{"ips":[{"address":"10.5.0.2/24"}],"routes":[{"dst":"all"}]}'),
      codes.ipamFailed,
      /routes\.0\.dst: "all"/,
    ],
    'answers an address twice': [
      says('{"ips":[{"address":"10.5.0.2/24"},{"address":"10.5.0.2/24"}]}'),
      codes.plugFailed,
      /10\.5\.0\.2\/24.*EEXIST/,
    ],
    'answers a route that goes nowhere': [
      says('{"ips":[{"address":"10.5.0.2/24"}],"routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1"}]}'),
      codes.plugFailed,
      /0\.0\.0\.0\/0 via 192\.0\.2\.1.*ENETUNREACH/,
    ],
    'answers an error but claims success': [says('{"code":142,"msg":"pool is full"}'), codes.ipamFailed, /without an address/],
    'writes five megabytes': ['head -c 5000000 /dev/zero', codes.ipamFailed, /wrote more than 1048576 bytes and was killed/],
  };

  for (const [how, [script, code, words]] of Object.entries(wrong)) {
    it(`that ${how}: ADD says so, gives back what was taken, leaves nothing`, async () => {
      await plugin({ ADD: script });
      const call = await tried();
      const began = performance.now();
      refused(await node.cni('ADD', call), code, words);
      assert.ok(performance.now() - began < 2500, 'within the time limit');
      assert.deepEqual(await calls(), [`ADD ${call.containerId} eth0`, `DEL ${call.containerId} eth0`]);
      assert.deepEqual(await node.leftovers(), []);
      succeeded(await node.cni('DEL', call));
    });
  }

  it('passes on what a plugin writes to stderr, to the log and into the details of its failure', async () => {
    await plugin({ ADD: 'echo no route to the pool server >&2; exit 3' });
    const { json } = await node.cni('ADD', await tried());
    assert.equal(json.details, 'no route to the pool server');
    assert.match(await node.log(), /no route to the pool server/);
  });

  it('that is not installed: ADD names it, leaves nothing, and the DEL that follows is fine', async () => {
    const call = await tried(config('not-there'));
    refused(
      await node.cni('ADD', call),
      codes.invalidConfig,
      /ipam\.type: no executable "not-there" in CNI_PATH \(\S+:\/usr\/lib\/cni\)/,
    );
    assert.deepEqual(await node.leftovers(), []);
    succeeded(await node.cni('DEL', call));
  });

  it('that is no program: ADD says so, leaves nothing, and the DEL that follows is fine', async () => {
    await writeFile(file('text'), 'hello');
    const call = await tried(config('text'));
    refused(await node.cni('ADD', call), codes.invalidConfig, /ipam\.type: no executable "text" in CNI_PATH/);
    assert.deepEqual(await node.leftovers(), []);
    succeeded(await node.cni('DEL', call));
  });

  it('whose name is a path is refused before anything runs', async () => {
    refused(
      await node.cni('ADD', await tried(config('../ipam/tried'))),
      codes.invalidConfig,
      /ipam\.type: "\.\.\/ipam\/tried".*no slashes/,
    );
  });

  it('that needs no interface is asked in vain for an address when the plug fails, and gets it back', async () => {
    await plugin({ ADD: good }, 'static');
    const call = { ...(await tried(config('static'))), ifname: 'lo' };
    refused(await node.cni('ADD', call), codes.plugFailed, /there is already a link "lo"/);
    assert.deepEqual(await calls(), [`ADD ${call.containerId} lo`, `DEL ${call.containerId} lo`]);
  });

  it('of any other kind is not asked when the plug fails', async () => {
    await plugin({ ADD: good });
    const call = { ...(await tried()), ifname: 'lo' };
    refused(await node.cni('ADD', call), codes.plugFailed, /there is already a link "lo"/);
    assert.deepEqual(await calls(), []);
    assert.deepEqual(await node.leftovers(), []);
  });

  it('finds the interface there, up and on its bridge, at ADD and at DEL', async () => {
    const look = `{ ip -netns \${CNI_NETNS##*/} -brief link show dev eth0 up; ovs-vsctl --db=${node.ovs.address} port-to-br "$(ovs-vsctl --db=${node.ovs.address} list-ports br0)"; } >> ${node.dir}/seen 2>&1`;
    await plugin({ ADD: `${look}; ${good}`, DEL: look });
    for (let count = 0; count < 5; count++) succeeded(await undo.use(await attach(node, config())).del());
    const seen = (await readFile(join(node.dir, 'seen'), 'utf8')).trim().split('\n');
    assert.deepEqual(
      seen.map((line) => line.replace(/@.*\bUP\b.*/, ' UP')),
      Array.from({ length: 10 }, () => ['eth0 UP', 'br0']).flat(),
    );
  });

  it('whose DEL fails: our own part is gone, the error is told, and a second DEL makes it good', async () => {
    await plugin({ ADD: good, DEL: `[ -e ${node.dir}/broken ] && { ${fails('{"code":123,"msg":"pool is away"}')}; }; true` });
    const { call, del, port } = undo.use(await attach(node, config()));
    await writeFile(join(node.dir, 'broken'), '');
    for (const _ of [1, 2]) refused(await del(), 123, /IPAM plugin tried: pool is away/);
    assert.deepEqual(await node.leftovers(), [`journal ${port.slice(2)}.jsonl`]);
    await rm(join(node.dir, 'broken'));
    succeeded(await del());
    assert.deepEqual(await node.leftovers(), []);
    assert.equal((await calls()).at(-1), `DEL ${call.containerId} eth0`);
  });

  it('that was removed before DEL: our own part is gone, the error names it, and a second DEL makes it good', async () => {
    await plugin({ ADD: good });
    const { del, port } = undo.use(await attach(node, config()));
    await rm(file('tried'));
    refused(await del(), codes.invalidConfig, /no executable "tried" in CNI_PATH/);
    assert.deepEqual(await node.leftovers(), [`journal ${port.slice(2)}.jsonl`]);
    await plugin({});
    succeeded(await del());
  });

  it('gets its DEL with the configuration of its ADD, though that was changed since', async () => {
    await plugin({ ADD: good, DEL: `printf %s "$stdin" > ${node.dir}/stdin` });
    const asked = config('tried', { ipam: { type: 'tried', pool: 'a' } });
    const { del } = undo.use(await attach(node, asked));
    succeeded(await del({ config: config('elsewhere') }));
    assert.deepEqual(JSON.parse(await readFile(join(node.dir, 'stdin'), 'utf8')), asked);
  });

  it('can fail CHECK, also with the code that the container is unknown', async () => {
    for (const [code, msg] of [
      [3, 'no such lease'],
      [100, 'lease is of another pod'],
      [11, 'pool is busy'],
    ] as const) {
      await plugin({ ADD: good, CHECK: fails(JSON.stringify({ code, msg })) });
      await using attached = await attach(node, config());
      refused(await attached.check(), code, new RegExp(msg));
    }
  });

  it("of an older CNI serves a newer network: Debian's host-local 1.1.1 and version 1.1.0", async () => {
    const asked = network(node, { cniVersion: '1.1.0' });
    const { call, result, ip, check } = undo.use(await attach(node, asked));
    assert.equal(result.cniVersion, '1.1.0');
    const lease = `lease tenant-a/${ip}`;
    succeeded(await check());
    const whole = { ...asked, 'cni.dev/valid-attachments': [{ containerID: call.containerId, ifname: 'eth0' }] };
    succeeded(await node.cni('GC', { ...call, config: whole }));
    assert.equal((await node.cni('STATUS', { ...call, config: asked })).exit, 0);
    assert.ok((await node.leftovers()).includes(lease));
    succeeded(await check());
  });

  it("of an older CNI gets at CHECK and DEL the result of ADD in its own version: Debian's static", async () => {
    const ipam = { type: 'static', addresses: [{ address: '10.77.0.2/16' }], routes: [{ dst: '10.99.0.0/16' }] };
    const { result, call, check } = undo.use(await attach(node, network(node, { cniVersion: '1.1.0', ipam })));
    succeeded(await check());
    succeeded(await node.cni('DEL', { ...call, config: { ...(call.config as object), prevResult: result } }));
  });

  it('that can only speak versions we do not is refused in its own words', async () => {
    const refusal = '{"code":1,"msg":"incompatible CNI versions","details":"plugin supports [9.0.0]"}';
    await plugin({ ADD: fails(refusal), VERSION: says('{"cniVersion":"9.0.0","supportedVersions":["9.0.0"]}') });
    refused(await node.cni('ADD', await tried()), codes.incompatibleVersion, /IPAM plugin tried: incompatible CNI versions/);
  });
});
