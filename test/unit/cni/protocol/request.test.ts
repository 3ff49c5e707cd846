import assert from 'node:assert/strict';
import fc from 'fast-check';
import { coded } from '../../../../cni/protocol/errors.ts';
import { commands, parseArgs, parseRequest } from '../../../../cni/protocol/request.ts';

const config = { cniVersion: '1.1.0', name: 'tenant-a', type: 'smartnic', bridge: 'br0' };
const environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/a',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
};

interface Change {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly config?: unknown;
  readonly stdin?: string;
}

function parse({ env = {}, config: more = {}, stdin }: Change) {
  const variables = Object.entries({ ...environment, ...env }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return parseRequest(Object.fromEntries(variables), stdin ?? JSON.stringify({ ...config, ...(more as object) }));
}

function refusal(change: Change): string {
  try {
    parse(change);
  } catch (error) {
    const { code, message, details } = coded(error);
    return `${code} ${message}${details ? ` [${details}]` : ''}`;
  }
  return assert.fail(`accepted: ${JSON.stringify(change)}`);
}

const none = Object.fromEntries(Object.keys(environment).map((name) => [name, undefined]));

describe('a request', () => {
  it('is read from environment and stdin', () => {
    const request = parse({
      env: { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=p;X=y', CNI_PATH: '/a::/b', CNI_NETNS_OVERRIDE: 'TRUE' },
      config: { mtu: 1400, ipam: { type: 'static', own: 1 } },
    });
    assert.deepEqual(
      [request.command, request.containerId, request.ifname, request.netns, request.version, request.netnsOverride],
      ['ADD', 'c1', 'eth0', '/run/netns/a', '1.1.0', true],
    );
    assert.deepEqual([request.path, request.args, request.config.mtu], [['/a', '/b'], { podName: 'p' }, 1400]);
    assert.deepEqual(request.stdin['ipam'], { type: 'static', own: 1 }, 'the configuration goes to IPAM untouched');
  });

  const needed = {
    ADD: 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH',
    CHECK: 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH',
    DEL: 'CNI_CONTAINERID,CNI_IFNAME,CNI_PATH',
    GC: 'CNI_PATH',
    STATUS: 'CNI_PATH',
  };
  for (const [command, names] of Object.entries(needed)) {
    it(`${command} names all missing variables at once`, () => {
      assert.equal(refusal({ env: { ...none, CNI_COMMAND: command } }), `4 required env variables [${names}] missing`);
    });
  }

  it('GC and STATUS need neither container nor interface', () => {
    for (const command of ['GC', 'STATUS']) {
      assert.equal(parse({ env: { ...none, CNI_COMMAND: command, CNI_PATH: '/x' } }).containerId, '');
    }
  });

  it('DEL needs no namespace', () => {
    assert.equal(parse({ env: { CNI_COMMAND: 'DEL', CNI_NETNS: '' } }).netns, '');
    assert.equal(parse({ env: { CNI_COMMAND: 'DEL', CNI_NETNS: undefined } }).netns, '');
  });

  const bad: readonly (readonly [string, Change, string])[] = [
    ['no command', { env: { CNI_COMMAND: undefined } }, '4 required env variables [CNI_COMMAND] missing'],
    ['an unknown command', { env: { CNI_COMMAND: 'PLUG' } }, '4 unknown CNI_COMMAND: PLUG'],
    [
      'an unknown command, stdin looked at before it',
      { env: { CNI_COMMAND: 'PLUG' }, stdin: '' },
      '6 the network configuration on stdin is empty',
    ],
    [
      'a bad container id, hiding what is missing behind it',
      { env: { CNI_CONTAINERID: '-x', CNI_NETNS: undefined } },
      '4 CNI_CONTAINERID: invalid characters in container id "-x"; allowed are a-z A-Z 0-9 _ . - [CNI_CONTAINERID=-x]',
    ],
    ['a namespace that is no path', { env: { CNI_NETNS: 'ns1' } }, '4 CNI_NETNS: "ns1" is not an absolute path [CNI_NETNS=ns1]'],
    [
      'an interface name of 16 letters',
      { env: { CNI_IFNAME: 'sixteen-letters-' } },
      '4 CNI_IFNAME: interface name "sixteen-letters-" is too long; at most 15 bytes [CNI_IFNAME=sixteen-letters-]',
    ],
    [
      'an interface name of 8 letters that are 16 bytes',
      { env: { CNI_IFNAME: 'äöüäöüäö' } },
      '4 CNI_IFNAME: interface name "äöüäöüäö" is too long; at most 15 bytes [CNI_IFNAME=äöüäöüäö]',
    ],
    ['an interface called ..', { env: { CNI_IFNAME: '..' } }, '4 CNI_IFNAME: interface name is ".." [CNI_IFNAME=..]'],
    ...['a/b', 'a:b', 'a b', 'a\tb'].map((name): readonly [string, Change, string] => [
      `an interface called ${JSON.stringify(name)}`,
      { env: { CNI_IFNAME: name } },
      `4 CNI_IFNAME: interface name "${name}" contains /, : or white space [CNI_IFNAME=${name}]`,
    ]),
    ['no configuration', { stdin: ' \n' }, '6 the network configuration on stdin is empty'],
    ['a configuration that is an array', { stdin: '[]' }, '6 the network configuration on stdin is not a JSON object'],
    ['a configuration that is null', { stdin: 'null' }, '6 the network configuration on stdin is not a JSON object'],
    ['no network name', { config: { name: undefined } }, '7 missing network name: the key "name" is absent'],
    ['an empty network name', { config: { name: '' } }, '7 missing network name: the key "name" is absent'],
    [
      'a network name with a slash',
      { config: { name: 'a/b' } },
      '7 name: invalid network name "a/b"; allowed are a-z A-Z 0-9 _ . -',
    ],
    ['a network name that is a number', { config: { name: 5 } }, '7 name: invalid network name 5; allowed are a-z A-Z 0-9 _ . -'],
    ['CNI_ARGS without a value', { env: { CNI_ARGS: 'A' } }, '4 CNI_ARGS: "A" is not of the form KEY=VALUE'],
    ['CNI_ARGS with two values', { env: { CNI_ARGS: 'MAC=a=b' } }, '4 CNI_ARGS: "MAC=a=b" is not of the form KEY=VALUE'],
    [
      'a MAC in CNI_ARGS that is none',
      { env: { CNI_ARGS: 'MAC=here' } },
      '4 CNI_ARGS: MAC: "here" is not a MAC address of the form 02:00:00:00:00:01',
    ],
    [
      'a multicast MAC in CNI_ARGS',
      { env: { CNI_ARGS: 'IgnoreUnknown=1;MAC=01:00:00:00:00:01' } },
      '4 CNI_ARGS: MAC: "01:00:00:00:00:01" is a multicast address; the second digit must be even',
    ],
  ];
  for (const [title, change, sentence] of bad) it(`is refused for ${title}`, () => assert.equal(refusal(change), sentence));

  it('is refused for a configuration that is not JSON, with what the parser says', () => {
    assert.match(refusal({ stdin: '{"a":' }), /^6 the network configuration on stdin is not JSON: /);
  });

  it('is refused in order: environment, JSON, name, command, version, configuration', () => {
    const everything = { CNI_CONTAINERID: '-', CNI_COMMAND: 'PLUG' };
    assert.match(refusal({ env: everything, stdin: '' }), /^4 CNI_CONTAINERID/);
    assert.match(refusal({ env: { CNI_COMMAND: 'PLUG' }, stdin: '{' }), /^6 /);
    assert.match(refusal({ env: { CNI_COMMAND: 'PLUG' }, config: { name: '', cniVersion: '9' } }), /^7 missing network name/);
    assert.match(refusal({ env: { CNI_COMMAND: 'PLUG' }, config: { cniVersion: '9' } }), /^4 unknown CNI_COMMAND/);
    assert.match(refusal({ config: { cniVersion: '9', vlan: 5000 } }), /^1 /);
  });
});

describe("a request's version", () => {
  const supported = '[0.3.0 0.3.1 0.4.0 1.0.0 1.1.0]';
  it('is any of those that are supported', () => {
    for (const cniVersion of ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
      assert.equal(parse({ config: { cniVersion } }).version, cniVersion);
    }
  });

  it('is 0.1.0 when absent, which is not supported', () => {
    for (const cniVersion of [undefined, '', '0.1.0']) {
      assert.equal(
        refusal({ config: { cniVersion } }),
        `1 incompatible CNI versions [config is "0.1.0", plugin supports ${supported}]`,
      );
    }
  });

  it('is refused when unknown', () => {
    for (const cniVersion of ['0.2.0', '1.2.0', '1.1', 'v1.0.0', ' 1.0.0', 1]) {
      assert.equal(
        refusal({ config: { cniVersion } }),
        `1 incompatible CNI versions [config is "${cniVersion}", plugin supports ${supported}]`,
      );
    }
  });

  it('decides whether there is CHECK, GC and STATUS', () => {
    for (const cniVersion of ['0.3.0', '0.3.1', undefined, '0.2.0']) {
      assert.equal(refusal({ env: { CNI_COMMAND: 'CHECK' }, config: { cniVersion } }), '1 config version does not allow CHECK');
    }
    for (const command of ['GC', 'STATUS']) {
      for (const cniVersion of ['0.4.0', '1.0.0', undefined]) {
        assert.equal(
          refusal({ env: { CNI_COMMAND: command }, config: { cniVersion } }),
          `1 config version does not allow ${command}`,
        );
      }
      assert.equal(parse({ env: { CNI_COMMAND: command } }).version, '1.1.0');
    }
    assert.equal(parse({ env: { CNI_COMMAND: 'CHECK' }, config: { cniVersion: '0.4.0' } }).version, '0.4.0');
    assert.match(refusal({ env: { CNI_COMMAND: 'CHECK' }, config: { cniVersion: '2.0.0' } }), /^1 incompatible CNI versions/);
  });
});

describe('CNI_ARGS', () => {
  it('are read as far as they are known', () => {
    const text =
      'IgnoreUnknown=true;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_UID=u;MAC=02:AB:00:00:00:01';
    assert.deepEqual(parseArgs(text), { podNamespace: 'ns', podName: 'p', podUid: 'u', mac: '02:ab:00:00:00:01' });
  });

  it('may repeat a key: the last one counts', () => {
    assert.deepEqual(parseArgs('K8S_POD_NAME=a;K8S_POD_NAME=b'), { podName: 'b' });
  });

  it('may be empty, and so may values and the text between two semicolons', () => {
    assert.deepEqual(parseArgs(''), {});
    assert.deepEqual(parseArgs(';;K8S_POD_UID=;MAC=;K8S_POD_NAME=p;'), { podName: 'p' });
  });

  it('may have unknown keys only with IgnoreUnknown, wherever that stands', () => {
    const known =
      'IgnoreUnknown, IgnoreUnknownArgs, K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID, K8S_POD_INFRA_CONTAINER_ID, MAC';
    const message = `CNI_ARGS: unknown key "COLOUR"; known: ${known}, or set IgnoreUnknown=1`;
    for (const text of ['COLOUR=red', 'IgnoreUnknown=0;COLOUR=red', 'IgnoreUnknown=;COLOUR=red', 'IgnoreUnknown=10;COLOUR=red']) {
      assert.throws(() => parseArgs(text), { code: 4, message });
    }
    for (const yes of ['1', 'true', 'TRUE']) assert.deepEqual(parseArgs(`COLOUR=red;toString=x;IgnoreUnknown=${yes}`), {});
    assert.throws(() => parseArgs('toString=x'), /unknown key "toString"/);
  });

  it('cannot keep a DEL or GC from being understood', () => {
    for (const text of ['A', 'COLOUR=red', 'MAC=here', '=;=']) {
      assert.equal(parse({ env: { CNI_COMMAND: 'DEL', CNI_ARGS: text } }).containerId, 'c1');
      assert.deepEqual(parse({ env: { CNI_COMMAND: 'GC', CNI_ARGS: text } }).args, {});
    }
  });
});

describe('any environment and stdin', () => {
  it('are read or refused with a CNI error, never anything else', () => {
    const env = fc.dictionary(fc.constantFrom(...Object.keys(environment), 'CNI_ARGS'), fc.string());
    const stdin = fc.oneof(
      fc.string(),
      fc.json(),
      fc.dictionary(fc.constantFrom('name', 'cniVersion', 'bridge'), fc.jsonValue()).map((each) => JSON.stringify(each)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...commands), env, stdin, (command, variables, text) => {
        try {
          parseRequest({ ...environment, ...variables, CNI_COMMAND: command }, text);
        } catch (error) {
          assert.ok([1, 2, 4, 6, 7].includes(coded(error).code), String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
