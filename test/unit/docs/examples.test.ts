// The programs accept whatever a reader copies out of the documentation: the YAML, JSON and shell of every page, and every key of its tables.
import { deepEqual, ok } from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { externalIds } from '../../../cni/attachment/attachment.ts';
import { liveKeys, parseSettings } from '../../../cni/attachment/settings.ts';
import { usage } from '../../../device-plugin/options.ts';
import { parseConfig } from '../../../inventory/config/config.ts';
import { knownKeys } from '../../../inventory/config/schema.ts';
import { parseAnnotation } from '../../../network/annotation.ts';
import { parseNetworkConfig } from '../../../network/keys.ts';
import { runSync } from '../../../tools/program.ts';
import { type Block, blocksOf, codeIn, pages, rowsOf, sectionOf, read as textOf, top } from '../../support/pages.ts';

// biome-ignore lint/suspicious/noExplicitAny: whatever stands in a page
type Document = any;

const network = (text: string) => parseNetworkConfig(JSON.parse(text), { lenient: false });

/** What a document is by its keys, and who reads it. @throws when it is wrong. */
const readers: readonly (readonly [string, (document: Document, page: string) => void])[] = [
  ['pools', (document) => parseConfig('pools.yaml', JSON.stringify(document))],
  ['forwarder', (document) => parseSettings(JSON.stringify(document), 'config.yaml')],
  ['bounds', (document) => parseSettings(JSON.stringify(document), 'config.yaml')],
  ['plugins', ({ plugins, ...list }) => plugins.map((each: object) => network(JSON.stringify({ ...list, ...each })))],
  ['data', ({ data }) => readConfigMap(data)],
  ['resources', ({ resources, components = [] }) => [...resources, ...components].forEach(requireFolder)],
  ['patches', ({ patches }) => patches.map(({ patch }: Document) => requireContainers(patch))],
  ['spec', ({ spec, metadata }, page) => ('config' in spec ? network(spec.config) : readPod(metadata, spec, page))],
  ['metadata', ({ metadata, spec }, page) => readPod(metadata, spec, page)],
  ['event', ({ version }) => ok(version === 1)],
];

function readConfigMap(data: Readonly<Record<string, string>>): void {
  parseConfig('pools.yaml', data['pools.yaml'] ?? '');
  parseSettings(data['config.yaml'] ?? '', 'config.yaml');
}

/** Of a kustomization beside a checkout of ours. */
function requireFolder(path: string): void {
  ok(existsSync(join(top, path.replace('../smartnic/', ''), 'kustomization.yaml')), path);
}

function requireContainers(patch: string): void {
  const { spec } = parseOne(patch);
  for (const { name } of spec.template.spec.containers) ok(['device-plugin', 'cni'].includes(name), name);
}

function readPod(metadata: Document, spec: Document, page: string): void {
  const type = metadata.annotations?.['smartnic.io/vnic-type'];
  if (type !== undefined) parseAnnotation(type);
  const names = documentsOf(page).flatMap(({ metadata: each, spec: its }) => (its?.config === undefined ? [] : [each.name]));
  const asked: string | undefined = metadata.annotations?.['k8s.v1.cni.cncf.io/networks'];
  for (const each of asked?.split(',') ?? []) ok(names.includes(each.trim().split('@')[0]), `${page} makes no network ${each}`);
  const volumes = (spec?.volumes ?? []).map(({ name }: Document) => name);
  for (const { volumeMounts } of spec?.containers ?? [])
    for (const { name } of volumeMounts ?? []) ok(volumes.includes(name), `there is no volume ${name}`);
}

function documentsIn(text: string): readonly Document[] {
  return parseAllDocuments(text).map((document) => {
    const [error] = [...document.errors, ...document.warnings];
    if (error !== undefined) throw error;
    return document.toJS();
  });
}

function parseOne(text: string): Document {
  return documentsIn(text)[0];
}

function documentsOf(page: string): readonly Document[] {
  return blocksOf(page)
    .filter(({ language }) => language === 'yaml')
    .flatMap(({ text }) => documentsIn(text));
}

function read(page: string, document: Document): void {
  const [, reader] = readers.find(([key]) => key in document) ?? [];
  ok(reader, `nobody reads ${JSON.stringify(document)}`);
  reader(document, page);
}

const checks: Readonly<Record<string, (page: string, block: Block) => void>> = {
  yaml: (page, { text }) => {
    for (const document of documentsIn(text)) read(page, document);
  },
  json: (page, { text }) => read(page, JSON.parse(text)),
  js: runHook,
  sh: (_, { text }) => {
    const { exitCode, stderr } = runSync('sh', ['-n'], { input: text, reject: false });
    deepEqual([exitCode, stderr], [0, '']);
    // The shell would take a placeholder such as <pf> for a redirection.
    for (const line of text.split('\n')) ok(!/<[a-z]/.test(line.replace(/#.*/, '')), line);
  },
};

/** A hook, told what the page says that hooks are told. */
function runHook(page: string, { text }: Block): void {
  const input = blocksOf(page).find(({ language }) => language === 'json')?.text ?? '';
  const folder = mkdtempSync(join(tmpdir(), 'sn-hook-'));
  try {
    writeFileSync(join(folder, 'hook'), text, { mode: 0o755 });
    const run = (event: string, more: object = {}) => {
      const told = { ...JSON.parse(input), event, ...more };
      const { exitCode, stdout } = runSync(process.execPath, [join(folder, 'hook'), event], {
        input: JSON.stringify(told),
        reject: false,
        stripFinalNewline: false,
      });
      return [exitCode, stdout];
    };
    deepEqual(
      [run('before-plug'), run('after-plug'), run('after-unplug', { vf: undefined })],
      [
        [0, ''],
        [0, ''],
        [0, ''],
      ],
    );
    deepEqual(run('before-plug', { vf: { pf: '0000:86:00.0' } }), [1, '']);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('what a reader copies', () => {
  for (const page of pages)
    for (const block of blocksOf(page)) {
      const check = checks[block.language];
      if (check !== undefined) it(`${block.at}: ${block.language} is taken`, () => check(page, block));
    }
});

describe('the tables of keys', () => {
  const keysOf = (text: string) => rowsOf(text).flatMap(([cell = '']) => codeIn(cell));
  /** As the refusal of an unknown key lists them. */
  const offered = (attempt: () => void): readonly string[] => {
    try {
      attempt();
    } catch (error) {
      return /(?:known keys:|the keys here are) (.*)$/.exec(String(error))?.[1]?.split(', ') ?? [];
    }
    return [];
  };
  const ofNetworks = offered(() => network('{ "name": "n", "type": "smartnic", "bridge": "b", "nonsense": 1 }'));
  const ofNodes = offered(() => parseSettings('nonsense: 1', 'config.yaml'));

  it("have every key of a network's configuration, and no other", () => {
    const always = ['name', 'type'];
    deepEqual(
      keysOf(sectionOf('docs/reference/network.md', '## The keys')).toSorted(),
      ofNetworks.filter((key) => !always.includes(key)).toSorted(),
    );
    for (const key of rowsOf(sectionOf('docs/sriov-guide.md', '## 5. The network')).flatMap(([cell = '']) => codeIn(cell)))
      ok(ofNetworks.includes(key), key);
  });

  it('have every external_id that is written for others to read', () => {
    const key = { network: 'n', containerId: 'c', ifname: 'net1' };
    const pod = { podNamespace: 'ns', podName: 'web', podUid: 'uid' };
    const named = {
      id: 'i',
      bridgePort: 'p',
      vnicType: 'normal',
      ovsdb: 'unix:/db',
      bridge: 'br',
      netns: '/n',
      bootId: 'b',
    } as const;
    const written = Object.keys(externalIds({ ...key, ...named, pod, since: '', began: 0 }, '02:00:00:00:00:01', {}));
    deepEqual(
      keysOf(sectionOf('docs/reference/network.md', '## What a controller reads on the port')).toSorted(),
      [...written.filter((id) => !id.startsWith('smartnic-')), 'smartnic-*'].toSorted(),
    );
  });

  it("have every key of a node's configuration, and no other", () => {
    const keys = keysOf(textOf('docs/reference/node.md')).map((key) => key.split('.')[0] ?? key);
    deepEqual([...new Set(keys)].toSorted(), ofNodes.toSorted());
    const atOnce = rowsOf(textOf('docs/reference/node.md')).flatMap(([cell = '', , , when]) =>
      when === 'at once' ? codeIn(cell) : [],
    );
    deepEqual(atOnce.toSorted(), liveKeys.toSorted());
  });

  it('have every key of pools and selectors, and no other', () => {
    const page = 'docs/reference/pools.md';
    const keys = ['## Keys of a pool', '## Keys of a selector'].flatMap((heading) => keysOf(sectionOf(page, heading)));
    const all = ['', 'pools.0', 'pools.0.selectors.0'].flatMap((path) => knownKeys(path === '' ? [] : path.split('.')));
    deepEqual(
      new Set(keys.map((key) => key.replace(/^pools\[\]\./, '')).filter((key) => /^[a-zA-Z]+$/.test(key))),
      new Set(all.filter((key) => key !== 'pools')),
    );
  });

  it("have every flag of the device plugin's command line with its default, and no other", () => {
    const ofGuide = rowsOf(sectionOf('docs/device-plugin.md', '## Starting it')).map(([flag = '', value = '']) => [
      codeIn(flag)[0]?.split(' ')[0],
      codeIn(value)[0],
    ]);
    const ofProgram = [...usage().matchAll(/^ {2}(--[a-z-]+) .*?\(([^()\n]*)\)$/gms)].map(([, flag, value]) => [flag, value]);
    deepEqual(ofGuide, ofProgram);
  });
});
