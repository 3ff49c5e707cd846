// The shipped executable and bundle under the CNI contract, line by line: invocation, its errors in their order, results per version.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeIpam } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import type { TestNetns } from '../support/netns.ts';
import { containerId, ipamDirectory, network, startNode, type TestNode } from '../support/node.ts';
import { accepted, ask, type Reply, refused } from '../support/runtime.ts';

type Variables = Readonly<Record<string, string>>;

const versions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

describe('the executable and the server, from outside', () => {
  let node: TestNode;
  let pod: TestNetns;
  let path: string;
  forAllTests(startNode, async (made, undo) => {
    node = made;
    pod = undo.use(await node.pod());
    path = `${join(node.dir, 'ipam')}:${ipamDirectory}`;
  });
  afterEach(async () => assert.deepEqual(await node.leftovers(), [], 'something was left on the node'));

  const whole = (): Variables => ({
    CNI_CONTAINERID: containerId(),
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: path,
  });
  const config = (more: object = {}) => network(node, { cniVersion: '1.1.0', ...more });
  const call = (command: string, env: Variables, input: object | string | Buffer = config()): Promise<Reply> =>
    ask(node.socket, { CNI_COMMAND: command, ...env }, input);

  const needs: Readonly<Record<string, string>> = {
    ADD: 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH',
    CHECK: 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH',
    DEL: 'CNI_CONTAINERID,CNI_IFNAME,CNI_PATH',
    GC: 'CNI_PATH',
    STATUS: 'CNI_PATH',
  };
  for (const [command, names] of Object.entries(needs)) {
    it(`reports all variables that ${command} misses together`, async () => {
      const msg = `required env variables [${names}] missing`;
      await refused(call(command, {}), 4, msg);
      await refused(call(command, Object.fromEntries(names.split(',').map((name) => [name, '']))), 4, msg);
    });
  }

  it('names an unknown command, after the configuration was read', async () => {
    await refused(call('FOO', whole()), 4, 'unknown CNI_COMMAND: FOO');
    await refused(call('add', whole()), 4, 'unknown CNI_COMMAND: add');
    await refused(call('FOO', whole(), ''), 6, /stdin is empty/);
    await refused(call('FOO', whole(), { cniVersion: '1.1.0' }), 7, /"name"/);
  });

  it('says without a command what it is, on stderr alone', async () => {
    const { text, stderr } = await accepted(ask(node.socket, {}, ''));
    assert.equal(text, '');
    assert.match(stderr, /CNI protocol versions supported: 0\.3\.0, 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/);
  });

  for (const id of ['../x', 'a b', '-a', 'ä', '.']) {
    it(`refuses the container id ${JSON.stringify(id)}, before it reports what is missing`, async () => {
      await refused(call('ADD', { CNI_CONTAINERID: id }), 4, new RegExp(`CNI_CONTAINERID: .*"${id.replaceAll('.', '\\.')}"`));
    });
  }

  for (const ifname of ['sixteen-letters-', '.', '..', 'a/b', 'a:b', 'a b', 'a\tb']) {
    it(`refuses the interface name ${JSON.stringify(ifname)}`, async () => {
      const { json } = await refused(call('ADD', { ...whole(), CNI_IFNAME: ifname }), 4, /CNI_IFNAME: interface name/);
      assert.ok(json.msg.includes(ifname));
    });
  }

  it('tells an empty stdin from one that is not JSON, not an object, or too large', async () => {
    await refused(call('ADD', whole(), ''), 6, /stdin is empty/);
    await refused(call('ADD', whole(), '{"name": "tenant-a",'), 6, /stdin is not JSON/);
    await refused(call('ADD', whole(), Buffer.from([0xff, 0xfe, 0, 1])), 6, /stdin is not JSON/);
    for (const text of ['[]', 'null', '7', '"x"']) await refused(call('ADD', whole(), text), 6, /not a JSON object/);
    await refused(call('ADD', whole(), Buffer.alloc(10 * 1024 * 1024, ' ')), 6, /longer than the limit of 4194304 bytes/);
  });

  it('demands a network name that can be a file name', async () => {
    await refused(call('ADD', whole(), config({ name: undefined })), 7, /missing network name/);
    for (const name of ['', '../etc', 'a b', '-a', 7, null, ['x']])
      await refused(call('ADD', whole(), config({ name })), 7, /name/);
    await refused(call('DEL', whole(), config({ name: '../etc' })), 7, /name: .*"\.\.\/etc"/);
  });

  it('takes a version that is absent for 0.1.0, and refuses versions that it does not speak', async () => {
    const absent = await refused(call('ADD', whole(), config({ cniVersion: undefined })), 1, 'incompatible CNI versions');
    assert.equal(absent.json.details, 'config is "0.1.0", plugin supports [0.3.0 0.3.1 0.4.0 1.0.0 1.1.0]');
    for (const version of ['0.2.0', '1.2.0', '2.0.0', 'x']) {
      const { json } = await refused(call('ADD', whole(), config({ cniVersion: version })), 1, 'incompatible CNI versions');
      assert.match(json.details, new RegExp(`config is "${version}"`));
    }
  });

  it('refuses CHECK, GC and STATUS in versions that do not have them', async () => {
    await refused(call('CHECK', whole(), config({ cniVersion: '0.3.1' })), 1, 'config version does not allow CHECK');
    for (const command of ['GC', 'STATUS']) {
      for (const version of ['1.0.0', '0.4.0', undefined]) {
        const answer = call(command, { CNI_PATH: path }, config({ cniVersion: version }));
        await refused(answer, 1, `config version does not allow ${command}`);
      }
    }
  });

  it('reads CNI_ARGS as key=value, and refuses keys it does not know unless told to ignore them', async () => {
    await refused(call('ADD', { ...whole(), CNI_ARGS: 'K8S_POD_NAME=p;COLOUR=red' }), 4, /CNI_ARGS: unknown key "COLOUR"/);
    for (const bad of ['A', 'A=b=c', 'IgnoreUnknown=1;A']) {
      await refused(call('ADD', { ...whole(), CNI_ARGS: bad }), 4, /CNI_ARGS: .* is not of the form KEY=VALUE/);
    }
    for (const ignore of ['1', 'true']) {
      const env = { ...whole(), CNI_ARGS: `IgnoreUnknown=${ignore};K8S_POD_NAMESPACE=default;K8S_POD_NAME=p;COLOUR=red` };
      await accepted(call('ADD', env));
      await accepted(call('DEL', env));
    }
  });

  it('refuses a namespace that is its own before it changes anything, unless that is meant', async () => {
    const env = { ...whole(), CNI_NETNS: `/run/netns/${node.ovs.netns}`, CNI_IFNAME: 'own0' };
    await refused(call('ADD', env), 8, /CNI_NETNS: .* is the host's own network namespace; set CNI_NETNS_OVERRIDE=1/);
    assert.deepEqual(await node.leftovers(), []);
    for (const override of ['1', 'TRUE', 'true']) {
      const meant = { ...env, CNI_NETNS_OVERRIDE: override };
      await accepted(call('ADD', meant));
      await accepted(call('DEL', meant));
    }
  });

  it('says which namespace is not there', async () => {
    const absent = '/run/netns/sn-never-made';
    await refused(call('ADD', { ...whole(), CNI_NETNS: absent }), 4, new RegExp(`CNI_NETNS: .*${absent}: there is none`));
    await refused(call('ADD', { ...whole(), CNI_NETNS: '/etc/hostname' }), 4, /CNI_NETNS: .* is not a network namespace/);
    await refused(call('ADD', { ...whole(), CNI_NETNS: 'relative' }), 4, /CNI_NETNS: .*"relative" is not an absolute path/);
  });

  for (const version of versions) {
    it(`answers in the shape of ${version}`, async () => {
      const env = whole();
      const { json } = await accepted(call('ADD', env, config({ cniVersion: version })));
      const [host, inside, ...more] = json.interfaces;
      const [ip] = json.ips;
      assert.deepEqual([json.cniVersion, more], [version, []]);
      assert.deepEqual(Object.keys(host).toSorted(), ['mac', 'name']);
      assert.deepEqual([inside.name, inside.sandbox], ['eth0', env['CNI_NETNS']]);
      assert.equal(inside.mtu, version === '1.1.0' ? 1500 : undefined);
      assert.equal(ip.version, version.startsWith('0.') ? '4' : undefined);
      assert.equal(ip.interface, 1);
      assert.deepEqual(json.dns, {});
      const deleted = await accepted(call('DEL', env, config({ cniVersion: version, prevResult: json })));
      assert.equal(deleted.text, '');
    });
  }

  it('answers VERSION with or without a configuration, with or without a server', async () => {
    for (const socket of [node.socket, join(node.dir, 'absent.sock')]) {
      for (const [input, cniVersion] of [
        ['', '1.1.0'],
        ['garbage', '1.1.0'],
        ['{"cniVersion":"1.0.0"}', '1.0.0'],
      ] as const) {
        const { json, stderr } = await ask(socket, { CNI_COMMAND: 'VERSION' }, input);
        assert.deepEqual([json, stderr], [{ cniVersion, supportedVersions: versions }, '']);
      }
    }
  });

  it('gives the IPAM plugin the same environment and the whole configuration, and gives back in its words what it refuses', async () => {
    const words = '{"cniVersion":"1.1.0","code":142,"msg":"the pool is empty","details":"10.0.0.0/30"}';
    const script = `env > ${node.dir}/env-$CNI_COMMAND; cat > ${node.dir}/stdin-$CNI_COMMAND`;
    await writeIpam(node, 'teller', `${script}; [ $CNI_COMMAND = DEL ] || { echo '${words}'; echo noise >&2; exit 1; }`);
    const env = { ...whole(), CNI_ARGS: 'IgnoreUnknown=1;COLOUR=red', TRACEPARENT: '00-1-2-01' };
    const asked = config({ ipam: { type: 'teller', colour: 'red' }, args: { more: 1 } });
    const { json } = await refused(call('ADD', env, asked), 142, /teller: the pool is empty/);
    assert.equal(json.details, '10.0.0.0/30');
    for (const command of ['ADD', 'DEL']) {
      assert.deepEqual(JSON.parse(await readFile(`${node.dir}/stdin-${command}`, 'utf8')), JSON.parse(JSON.stringify(asked)));
      const lines = (await readFile(`${node.dir}/env-${command}`, 'utf8')).split('\n');
      for (const [name, value] of Object.entries({ ...env, CNI_COMMAND: command }))
        assert.ok(lines.includes(`${name}=${value}`), name);
    }
  });
});
