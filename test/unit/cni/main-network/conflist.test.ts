// What is refused of a main network's configuration before the runtime gets it, and what is done with the runtime's file.
import { deepEqual, equal, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { checkConflist } from '../../../../cni/main-network/conflist.ts';
import { type Decision, decide, type Texts } from '../../../../cni/main-network/decide.ts';
import { ConfigError } from '../../../../host/base/config-error.ts';

const top = join(import.meta.dirname, '../../../..');
const shipped: string = parse(readFileSync(join(top, 'deploy/overlays/main-network/network.yaml'), 'utf8')).data[
  'smartnic.conflist'
];

describe('the configuration of the main network', () => {
  it('is taken as it ships, with plugins of others, and with tabs', () => {
    checkConflist('/n/smartnic.conflist', shipped);
    const list = {
      cniVersion: '1.0.0',
      name: 'pods',
      plugins: [
        { type: 'smartnic', bridge: 'b' },
        { type: 'portmap', any: 1 },
      ],
    };
    checkConflist('/n/smartnic.conflist', JSON.stringify(list, undefined, '\t'));
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    ['no JSON', '{ "name": "n",\n "plugins": [}', /^smartnic\.conflist:2: is not JSON: /],
    ['a list', '[]', /^smartnic\.conflist:1: is not a JSON object$/],
    ['nothing', '', /^smartnic\.conflist:1: is not JSON: /],
    ['no plugins', '{ "name": "n" }', /^smartnic\.conflist:1: plugins: is missing/],
    [
      'no plugin of ours',
      '{ "name": "n",\n "plugins": [{ "type": "bridge" }] }',
      /^smartnic\.conflist:2: plugins: none of them has/,
    ],
    ['a mistyped key', shipped.replace('"bridge"', '"brige"'), /^smartnic\.conflist:2: .*unknown key "brige"; known keys: /],
    [
      'a bad value',
      shipped.replace('"ipam"', '\n"vlan": 5000,\n"ipam"'),
      /^smartnic\.conflist:4: vlan: 5000 is above the greatest, 4094$/,
    ],
    ['a bad name', shipped.replace('"pods"', '"a b"'), /^smartnic\.conflist:\d: name: invalid network name "a b"/],
    [
      'an unknown version',
      shipped.replace('"1.1.0"', '"9.0.0"'),
      /^smartnic\.conflist:1: cniVersion: "9\.0\.0" is not one of 0\.3\.0/,
    ],
  ];
  for (const [what, text, words] of bad)
    it(`is refused with file, line and key: ${what}`, () =>
      throws(
        () => checkConflist('/n/smartnic.conflist', text),
        (error: unknown) => error instanceof ConfigError && words.test(error.message),
      ));

  it('names every plugin of ours that is wrong', () => {
    const plugins = [
      { type: 'smartnic', bridge: 'b', mtu: 1 },
      { type: 'smartnic', vlan: 'x', bridge: 'b' },
    ];
    try {
      checkConflist('f', JSON.stringify({ cniVersion: '1.1.0', name: 'n', plugins }));
      equal('refused', 'taken');
    } catch (error) {
      equal(error instanceof ConfigError ? error.problems.length : error, 2);
    }
  });
});

describe("the runtime's file of the main network", () => {
  const cases: readonly (readonly [string, Texts, boolean, Decision])[] = [
    ['is as wanted', { wanted: 'a', present: 'a', written: undefined }, true, 'nothing'],
    ['is not there at the start', { wanted: 'a', present: undefined, written: 'a' }, true, 'write'],
    ['is not there, and was never written', { wanted: 'a', present: undefined, written: undefined }, false, 'write'],
    ['was removed by a person', { wanted: 'a', present: undefined, written: 'a' }, false, 'leave'],
    ['was removed by a person before the change', { wanted: 'b', present: undefined, written: 'a' }, false, 'write'],
    ['is ours, and the wish changed', { wanted: 'b', present: 'a', written: 'a' }, false, 'write'],
    ['was changed by a person', { wanted: 'a', present: 'x', written: 'a' }, false, 'leave'],
    ['was changed by a person before the start', { wanted: 'a', present: 'x', written: 'a' }, true, 'leave'],
    ['was changed by a person before the wish changed', { wanted: 'b', present: 'x', written: 'a' }, false, 'replace'],
    ['is of nobody knows whom', { wanted: 'a', present: 'x', written: undefined }, true, 'replace'],
  ];
  for (const [what, texts, isStart, decision] of cases)
    it(`${what}: ${decision}`, () => deepEqual(decide(texts, isStart), decision));
});
