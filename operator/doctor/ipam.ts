// Can the IPAM plugins work that networks name? Known networks are those of attachments, those for which the server was called since its start, and
// those in the runtime's own folder, as far as that can be seen from here.
import { join } from 'node:path';
import { ipamOf, type KnownIpam, type KnownNetwork, networkOf } from '../../cni/server/known-networks.ts';
import { isRecord } from '../../host/base/json.ts';
import { whyUnanswered } from '../../host/files/unix-client.ts';
import { existsOnHost, listDirectory, onHost, readText } from '../../host/kernel/sysfs.ts';
import { isExecutable } from '../../host/program/executable.ts';
import { about, type Examination, type Finding, type Patient } from './finding.ts';
import { askState } from './server.ts';

const { ok, warn, fail } = about('IPAM');

/** IPAM plugins that a runtime's folder often has. */
const common = ['host-local', 'static', 'dhcp', 'whereabouts'];

export const examineIpam: Examination = async (patient) => {
  const { cniBin } = patient;
  const used = await usedPlugins(patient);
  const [missing, present] = [
    used.filter(([{ type }]) => !isThere(cniBin, type)),
    used.filter(([{ type }]) => isThere(cniBin, type)),
  ];
  const installed = common.filter((name) => isThere(cniBin, name));
  const idle = installed.filter((type) => !used.some(([ipam]) => ipam.type === type));
  return [
    ...missing.map(([{ type }, by]) =>
      fail(
        `${type}, which ${by} takes addresses from, is not in ${cniBin}`,
        'install it there, or correct "ipam" of the network',
      ),
    ),
    ...(await lacking(patient, present)).map(({ words, remedy, by }) => fail(`${words}; ${by} takes addresses from it`, remedy)),
    ...(
      await lacking(
        patient,
        idle.map((type) => [{ type }, ''] as const),
      )
    ).map(({ words, remedy }) => warn(`${words}: networks that name it fail`, `${remedy}. Nothing, if no network names it`)),
    ...(missing.length > 0 ? [] : [installation(cniBin, installed, used)]),
  ];
};

type Used = readonly (readonly [KnownIpam, string])[];

function installation(cniBin: string, installed: readonly string[], used: Used): Finding {
  const all = new Set([...installed, ...used.map(([{ type }]) => type)]);
  if (all.size > 0) return ok(`${[...all].join(', ')} in ${cniBin}`);
  return warn(
    `no IPAM plugin in ${cniBin}: networks with "ipam" fail`,
    'install the CNI plugins there (containernetworking-plugins)',
  );
}

function isThere(cniBin: string, type: string): boolean {
  return isExecutable(join(cniBin, type));
}

/** Each plugin once for what it needs, with the words for who uses it. */
async function usedPlugins(patient: Patient): Promise<Used> {
  const networks = [...ofAttachments(patient), ...((await askState(patient))?.networks ?? []), ...ofRuntime(patient)];
  const groups = Map.groupBy(
    networks.flatMap(({ name, ipam }) => (ipam === undefined ? [] : [{ name, ipam }])),
    ({ ipam }) => JSON.stringify(ipam),
  );
  return [...groups.values()].flatMap((those) => {
    const [first] = those;
    const names = [...new Set(those.map(({ name }) => name))];
    const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
    return first === undefined ? [] : [[first.ipam, `network ${names.slice(0, 3).join(', ')}${more}`] as const];
  });
}

function ofAttachments({ journal }: Patient): readonly KnownNetwork[] {
  return journal.list().flatMap(({ attachment: { network, ipam } }) => {
    if (ipam === undefined) return [];
    return [{ name: network, ipam: { ...ipamOf(ipam.stdin?.['ipam']), type: ipam.type } }];
  });
}

/** Where the runtime looks for networks. In a container the folder is often not mounted. */
const runtimeFolder = '/etc/cni/net.d';

function ofRuntime({ host }: Patient): readonly KnownNetwork[] {
  const folder = onHost(host, runtimeFolder);
  return names(folder)
    .filter((name) => /\.conf(list)?$/.test(name))
    .flatMap((name) => networksIn(join(folder, name)));
}

function names(folder: string): readonly string[] {
  try {
    return listDirectory(folder);
  } catch {
    return []; // these are the runtime's files, and others read them
  }
}

function networksIn(path: string): readonly KnownNetwork[] {
  try {
    const value: unknown = JSON.parse(readText(path) ?? '');
    if (!isRecord(value)) return [];
    const plugins: readonly unknown[] = Array.isArray(value['plugins']) ? value['plugins'] : [value];
    const ours = plugins.filter(isRecord).filter(({ type }) => type === 'smartnic');
    return ours.flatMap((plugin) => networkOf({ ...plugin, name: value['name'] }) ?? []);
  } catch {
    return [];
  }
}

interface Lack {
  readonly words: string;
  readonly remedy: string;
  readonly by: string;
}

/** What a plugin needs on the node besides its executable, and lacks. */
async function lacking({ host }: Patient, plugins: Used): Promise<readonly Lack[]> {
  const found = await Promise.all(
    plugins.map(async ([ipam, by]) => {
      const lack = await needs[ipam.type]?.(host.root, ipam);
      return lack === undefined ? [] : [{ ...lack, by }];
    }),
  );
  return found.flat();
}

const mounts = 'in a container its folder must be mounted (docs/installation.md, section 5)';

/** A plugin without a row needs nothing that we know. */
const needs: Readonly<Record<string, (root: string, ipam: KnownIpam) => Promise<Omit<Lack, 'by'> | undefined>>> = {
  dhcp: async (root, { daemonSocketPath: socket = '/run/cni/dhcp.sock' }) => {
    const why = await whyUnanswered(join(root, socket));
    if (why === undefined) return undefined;
    return {
      words: `dhcp: its daemon does not answer on ${socket} (${why.code ?? why.message})`,
      remedy: `start "dhcp daemon" on the node; ${mounts}`,
    };
  },
  whereabouts: async (root, { configurationPath }) => {
    const places = configurationPath === undefined ? whereaboutsFiles : [configurationPath];
    if (places.some((path) => existsOnHost(join(root, path)))) return undefined;
    return {
      words: `whereabouts: its configuration ${places[0]} is not here`,
      remedy: `install whereabouts on the node; ${mounts}`,
    };
  },
};

/** Where it looks when its network names no file. OpenShift has the second. */
const whereaboutsFiles = [
  '/etc/cni/net.d/whereabouts.d/whereabouts.conf',
  '/etc/kubernetes/cni/net.d/whereabouts.d/whereabouts.conf',
] as const;
