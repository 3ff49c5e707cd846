// The manifests agree with the code and its documentation, and ask for no more rights than are used.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { parseSettings } from '../../../cni/attachment/settings.ts';
import { longestStop } from '../../../cni/server/stop.ts';
import { parseOptions } from '../../../device-plugin/options.ts';
import { socketDirectory } from '../../../host/forwarder/forwarder.ts';
import { supervisorSocket } from '../../../host/forwarder/settings.ts';
import { quarantineDir } from '../../../host/nic/quarantine.ts';
import { parseConfig } from '../../../inventory/config/config.ts';
import { lastGoodFile } from '../../../inventory/config/last-good.ts';
import { deviceInfoDir } from '../../../inventory/files/device-info.ts';
import { parseNetworkConfig } from '../../../network/keys.ts';
import { imageName, nodeVersion } from '../../../tools/image/names.ts';
import {
  filesBelow,
  kustomizations,
  type Manifest,
  readManifests,
  render,
  renderOn,
  renderWith,
} from '../../support/manifests.ts';
import { blocksOf } from '../../support/pages.ts';

const top = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(top, file), 'utf8');

const podsOf = (manifests: readonly Manifest[]): readonly Manifest[] =>
  manifests.filter(({ kind }) => kind === 'DaemonSet').map(({ spec }) => spec.template.spec);
const containersOf = (pod: Manifest): readonly Manifest[] => [...(pod.initContainers ?? []), ...pod.containers];
const named = (pod: Manifest, name: string): Manifest => containersOf(pod).find((container) => container.name === name);
/** Names of the volumes that some container of it mounts. */
const mounted = (pod: Manifest): readonly string[] => {
  const all = containersOf(pod).flatMap(({ volumeMounts }) => volumeMounts.map((mount: Manifest) => mount.name));
  return [...new Set<string>(all)].sort();
};
/** A container's paths as the node has them. */
const isMounted = (container: Manifest, path: string) =>
  container.volumeMounts.some(({ mountPath }: Manifest) => normal(`${path}/`).startsWith(`${normal(mountPath)}/`));
/** /var/run is /run, in the image as on nodes. */
const normal = (path: string) => path.replace(/^\/var\/run\//, '/run/');

for (const name of kustomizations()) {
  describe(`deploy/${name === '.' ? '' : name}`, () => {
    const manifests = render(name);
    const pods = podsOf(manifests);

    it('names images of this version', () => {
      const images = pods.flatMap(containersOf).map(({ image }) => image);
      ok(images.length > 0);
      deepEqual([...new Set(images)], [imageName('smartnic')]);
    });

    it('starts programs that the image has', () => {
      const bundles = [...read('tools/bundle.mjs').matchAll(/^ +\{? ?'(smartnic-[a-z-]+)':/gm)].map(
        ([, entry]) => `${entry}.mjs`,
      );
      for (const { args } of pods.flatMap(containersOf)) ok(bundles.includes(programOf(args)), args.join(' '));
    });

    it('limits how long each step and each program that kubelet starts may take', () => {
      const steps = pods.flatMap(({ initContainers = [] }) => initContainers);
      for (const { args } of steps) deepEqual(args.slice(0, limited.length), limited);
      const probes = pods.flatMap(containersOf).flatMap((container) => Object.values(container).filter(isProbe));
      for (const probe of probes) ok(probe.timeoutSeconds <= 5, JSON.stringify(probe));
    });

    it('mounts every volume, and nothing else', () => {
      for (const pod of pods) deepEqual(mounted(pod), pod.volumes.map((volume: Manifest) => volume.name).sort());
    });

    it('gives no container more rights than its work needs', () => {
      for (const pod of pods) {
        equal(pod.hostPID, undefined);
        for (const { name: container, securityContext } of containersOf(pod)) {
          deepEqual(securityContext.capabilities.drop, ['ALL']);
          deepEqual(securityContext.capabilities.add ?? [], container === 'cni' ? capabilities : []);
          equal(securityContext.privileged, undefined);
          equal(securityContext.readOnlyRootFilesystem, true);
          equal(securityContext.allowPrivilegeEscalation, false);
        }
      }
    });

    it('gives the token of the API server to the cni container alone', () => {
      for (const pod of pods) {
        equal(pod.automountServiceAccountToken, false);
        for (const container of containersOf(pod))
          equal(isMounted(container, '/run/secrets/kubernetes.io/serviceaccount'), container.name === 'cni', container.name);
      }
    });

    it('asks the API server for pods, to read', () => {
      const rules = manifests.filter(({ kind }) => kind === 'ClusterRole').flatMap((role) => role.rules);
      deepEqual(rules, [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }]);
    });

    it('carries configurations that the programs take', () => {
      const { data } = manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'smartnic');
      parseSettings(data['config.yaml'], '/etc/smartnic/config.yaml');
      ok(parseConfig('/etc/smartnic/pools.yaml', data['pools.yaml']).pools.length > 0);
      for (const config of networksOf(manifests)) parseNetworkConfig(config, { lenient: false });
    });
  });
}

describe('every combination of an overlay and components, in either order', () => {
  const overlays = ['base', ...kustomizations().filter((name) => name.startsWith('overlays/'))];
  const argumentsOf = (manifests: readonly Manifest[]) =>
    new Map(podsOf(manifests).flatMap((pod) => containersOf(pod).map(({ name, args }) => [name, args] as const)));
  for (const overlay of overlays)
    for (const components of combinations(['forwarder', 'monitoring', ...(overlay === 'overlays/classic-node' ? [] : ['cdi'])]))
      it(`${overlay} with ${components.join(', ') || 'none'}`, () => {
        const [all, plain] = [renderOn(overlay, components), renderOn(overlay, [])];
        if (all === undefined || plain === undefined) return;
        const [with_, without] = [argumentsOf(all), argumentsOf(plain)];
        for (const [name, args] of without) deepEqual(with_.get(name), args, name);
        const more = [...with_.keys()].filter((name) => !without.has(name));
        deepEqual(more, components.includes('forwarder') ? ['forwarder'] : []);
        for (const { image, name } of podsOf(all).flatMap(containersOf)) match(image ?? 'no image', /^localhost\/smartnic/, name);
      });

  /** All choices of any of them, in both orders. */
  function combinations(names: readonly string[]): readonly (readonly string[])[] {
    const chosen = Array.from({ length: 2 ** names.length }, (_, bits) => names.filter((_, at) => bits & (1 << at)));
    return chosen.flatMap((one) => (one.length > 1 ? [one, one.toReversed()] : [one]));
  }
});

describe('the patches of the installation guide for IPAM plugins', () => {
  const patches = blocksOf('docs/installation.md')
    .filter(({ text }) => text.includes('mountPath: /run/cni') || text.includes('mountPath: /etc/cni/net.d/whereabouts.d'))
    .flatMap(({ text }) => parse(text).patches);

  it('add a folder of the node to the cni container, at the same path, and change nothing else', () => {
    equal(patches.length, 2);
    const [all, plain] = [renderOn('base', [], patches), renderOn('base', [])];
    if (all === undefined || plain === undefined) return;
    const [pod, before] = [podsOf(all)[0], podsOf(plain)[0]];
    const folders = new Map<string, string>(pod.volumes.map(({ name, hostPath }: Manifest) => [name, hostPath?.path]));
    for (const name of ['dhcp', 'whereabouts']) {
      const mount = named(pod, 'cni').volumeMounts.find((each: Manifest) => each.name === name);
      equal(mount.mountPath, folders.get(name));
    }
    const others = (list: readonly Manifest[]) => list.filter(({ name }) => !['dhcp', 'whereabouts'].includes(name));
    deepEqual(new Set(others(pod.volumes)), new Set(before.volumes));
    for (const container of containersOf(before)) {
      const { volumeMounts, ...rest } = named(pod, container.name);
      deepEqual(
        { ...rest, volumeMounts: new Set(others(volumeMounts)) },
        { ...container, volumeMounts: new Set(container.volumeMounts) },
      );
    }
  });
});

/** How a step begins that kubelet would wait for without end. */
const limited = ['/usr/bin/timeout', '--signal=KILL', '60'];
const programOf = (args: readonly string[]) => (args[0] === limited[0] ? args[limited.length] : args[0]) ?? '';
const isProbe = (part: unknown): part is Manifest => typeof part === 'object' && part !== null && 'periodSeconds' in part;
const capabilities = ['NET_ADMIN', 'SYS_ADMIN', 'NET_RAW', 'DAC_OVERRIDE'];

/** Of the definitions and of the main network's list. */
function networksOf(manifests: readonly Manifest[]): readonly Manifest[] {
  const definitions = manifests
    .filter(({ kind }) => kind === 'NetworkAttachmentDefinition')
    .map(({ spec }) => JSON.parse(spec.config));
  const lists = manifests
    .flatMap(({ data }) => Object.entries(data ?? {}))
    .filter(([name]) => name.endsWith('.conflist'))
    .flatMap(([, text]) => {
      const { plugins, ...list } = JSON.parse(String(text));
      return plugins.map((plugin: Manifest) => ({ ...list, ...plugin }));
    });
  return [...definitions, ...lists];
}

describe('the DaemonSet', () => {
  const [daemonSet] = readManifests('base/daemonset.yaml');
  const pod = daemonSet.spec.template.spec;
  const plugin = named(pod, 'device-plugin');
  const cni = named(pod, 'cni');
  const settings = parseSettings('', '/etc/smartnic/config.yaml');

  for (const container of [plugin, cni])
    it(`asks the very process in the container ${container.name}, by a socket that no other pod has`, () => {
      const { value: socket } = container.env.find(({ name }: Manifest) => name === 'SMARTNIC_PROBE_SOCKET');
      const pages = { startupProbe: '/healthz', livenessProbe: '/healthz', readinessProbe: '/readyz' };
      for (const [probe, page] of Object.entries(pages))
        deepEqual(container[probe].exec.command, ['smartnic-probe', socket, page]);
      const { name } = container.volumeMounts.find(({ mountPath }: Manifest) => mountPath === dirname(socket));
      deepEqual(pod.volumes.find((volume: Manifest) => volume.name === name)?.emptyDir, { medium: 'Memory', sizeLimit: '1Mi' });
    });

  it('mounts what the device plugin reads and writes, as its guide lists it', () => {
    const { config, kubeletDir } = parseOptions([]);
    const directories = ['plugins_registry', 'device-plugins', 'pod-resources'].map((each) => `${kubeletDir}/${each}`);
    for (const path of [
      dirname(config),
      dirname(lastGoodFile),
      deviceInfoDir,
      quarantineDir,
      socketDirectory,
      '/sys',
      ...directories,
    ])
      ok(isMounted(plugin, path), path);
    const guide = read('docs/device-plugin.md').split('## Host paths')[1]?.split('\n## ')[0] ?? '';
    for (const { mountPath } of plugin.volumeMounts) ok(normalGuide(guide).includes(`\`${mountPath}`), mountPath);
  });

  it('mounts what the CNI server reads and writes', () => {
    const paths = [dirname(settings.socket), settings.stateDir, `${settings.kubeletDir}/pod-resources`];
    const others = [settings.ovsdb.replace('unix:', ''), quarantineDir, deviceInfoDir, socketDirectory, '/run/netns', '/sys'];
    for (const path of [...paths, ...others]) ok(isMounted(cni, path), path);
  });

  it('is found by the words of the executable', () => {
    const hint = /kubectl -n (\S+) get pods -l (\S+)=(\S+)/.exec(read('cni/shim/smartnic.c'));
    const [, namespace, key = '', value] = hint ?? [];
    equal(daemonSet.spec.template.metadata.labels[key], value);
    match(read('deploy/base/kustomization.yaml'), new RegExp(`^namespace: ${namespace}$`, 'm'));
  });

  it('gives the server more time to end than what it waits for', () => {
    ok(pod.terminationGracePeriodSeconds * 1000 > longestStop);
  });
});

describe('the examples', () => {
  for (const file of filesBelow('examples').filter((name) => !name.endsWith('pools.yaml')))
    it(`${file}: pods choose among the networks of overlays/multus`, () => {
      const networks = readManifests('overlays/multus/networks.yaml').map(({ metadata }) => metadata.name);
      for (const { metadata, spec } of readManifests(file).filter(({ kind }) => kind === 'Pod')) {
        for (const each of metadata.annotations['k8s.v1.cni.cncf.io/networks'].split(/,\s*/))
          ok(networks.includes(each.split('@')[0]), each);
        for (const { image } of spec.containers) match(image, /:[0-9]/);
      }
    });
});

describe('the Dockerfile', () => {
  const dockerfile = read('Dockerfile');

  it('has the Node that the tests run on', () => {
    match(dockerfile, new RegExp(`/node:${nodeVersion.replaceAll('.', '\\.')}-`));
  });
});

function normalGuide(guide: string): string {
  return guide.replaceAll('`/var/run/', '`/run/');
}

describe('components/forwarder and components/cdi', () => {
  const all = renderWith('forwarder', 'cdi');
  if (all === undefined) return;
  const [forwarder] = podsOf(all.filter(({ metadata }) => metadata.name === 'smartnic-forwarder'));
  const [ours] = podsOf(all.filter(({ metadata }) => metadata.name === 'smartnic'));
  const { data } = all.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'smartnic');
  const settings = parseSettings(data['config.yaml'], '/etc/smartnic/config.yaml').forwarder;
  if (settings?.kind !== 'testpmd') throw new Error('the component is about testpmd');

  it('name an image that is built, and the program that it has', () => {
    equal(named(forwarder, 'forwarder').image, imageName('smartnic-forwarder'));
    equal(settings.program, '/usr/bin/dpdk-testpmd');
    match(read('tools/image/root.mjs'), new RegExp(`'${settings.program}'`));
  });

  it('bring supervisor, sockets and CNI server together', () => {
    const socket = supervisorSocket(settings);
    for (const path of [dirname(socket), socketDirectory, '/etc/smartnic', '/dev/vfio', '/dev/hugepages'])
      ok(isMounted(named(forwarder, 'forwarder'), path), path);
    ok(isMounted(named(ours, 'cni'), dirname(socket)));
    const { pools } = parseConfig('/etc/smartnic/pools.yaml', data['pools.yaml']);
    ok(pools.some(({ resources }) => resources.some(({ vnicType }) => vnicType === 'virtio-forwarder')));
    ok(isMounted(named(ours, 'device-plugin'), '/var/run/cdi'));
  });

  it('give relays the CPUs and hugepages that their configuration speaks of', () => {
    const { requests, limits } = named(forwarder, 'forwarder').resources;
    deepEqual(requests, limits);
    equal(Number(requests.cpu), settings.workerCores.length + 1);
    match(data['config.yaml'], /has 1 GiB, which is enough for eight/);
    deepEqual([requests['hugepages-2Mi'], settings.memory * 8], ['1Gi', 1024]);
  });

  it('mount every volume, and nothing else', () => {
    for (const pod of [forwarder, ours]) deepEqual(mounted(pod), pod.volumes.map((volume: Manifest) => volume.name).sort());
  });
});
