// Prometheus finds our pages, and the dashboard asks only for metrics and labels that exist.
import { deepEqual, equal, ok } from 'node:assert/strict';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { parseSettings, withVariables } from '../../../cni/attachment/settings.ts';
import { parseOptions } from '../../../device-plugin/options.ts';
import { type Manifest, readManifests, renderWith } from '../../support/manifests.ts';
import { codeIn, read, rowsOf } from '../../support/pages.ts';

const dashboard = JSON.parse(read('deploy/components/monitoring/dashboard.json'));
const panels: readonly Manifest[] = dashboard.panels.filter(({ type }: Manifest) => type !== 'row');

/** Labels by metric, as the code declares them. */
function declared(): ReadonlyMap<string, readonly string[]> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const ours = ['cni/server/metrics.ts', 'device-plugin/metrics.ts'].flatMap((file) => {
    const declaration = /^\s+(?:name: ')?(smartnic_\w+)(?:'|:)[\s\S]*?label(?:s|Names): \[([^\]]*)\]/gm;
    return [...read(file).matchAll(declaration)].map(
      ([, name = '', labels = '']) => [name, [...labels.matchAll(/'(\w+)'/g)].map(([, label = '']) => label)] as const,
    );
  });
  return new Map([...registry.getMetricsAsArray().map(({ name }) => [name, [] as readonly string[]] as const), ...ours]);
}

describe('the dashboard', () => {
  const metrics = declared();
  /** Every series has these. */
  const common = ['instance', 'job', 'le'];

  it('is read off declarations of both programs', () => {
    deepEqual(metrics.get('smartnic_vfs'), ['resource', 'pool', 'state']);
    deepEqual(metrics.get('smartnic_cni_request_seconds'), ['command', 'code']);
  });

  it('is about metrics that the guides list, all of them', () => {
    const listed = ['docs/cni-server.md', 'docs/device-plugin.md'].flatMap((page) =>
      rowsOf(read(page)).flatMap(([cell = '']) => codeIn(cell)),
    );
    const ours = [...metrics.keys()].filter((name) => name.startsWith('smartnic_'));
    deepEqual(listed.filter((name) => name.startsWith('smartnic_')).toSorted(), ours.toSorted());
  });

  for (const { title, targets } of panels)
    it(`${title}: asks for metrics and labels that there are`, () => {
      ok(targets.length > 0);
      for (const { expr } of targets) {
        const names = [...expr.matchAll(/\b((?:smartnic|process|nodejs)_\w+)/g)].map(([, name]) => name);
        ok(names.length > 0, expr);
        for (const name of names) {
          const labels = metrics.get(name.replace(/_(bucket|count|sum)$/, '')) ?? metrics.get(name);
          ok(labels, `no metric ${name}`);
          const used = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list.split(/,\s*/));
          const selected = [...expr.matchAll(/[{,](\w+)(?:=~|=|!=)"/g)].map(([, label]) => label);
          for (const label of [...used, ...selected]) ok([...labels, ...common].includes(label), `${name} has no label ${label}`);
        }
      }
    });

  it('shows every metric that says something of the node', () => {
    const asked = panels.flatMap(({ targets }) => targets.map(({ expr }: Manifest) => expr)).join('\n');
    const counters = ['smartnic_config_generation', 'smartnic_kubelet_registrations', 'smartnic_looks'];
    const missing = [...metrics.keys()].filter((name) => name.startsWith('smartnic_') && !asked.includes(name));
    deepEqual(missing.sort(), counters.sort());
  });
});

describe('components/monitoring', () => {
  const [service, monitor] = readManifests('components/monitoring/service.yaml');
  const portOf = (name: string) => service.spec.ports.find((port: Manifest) => port.name === name).port;

  it('scrapes both programs where they listen', () => {
    equal(portOf('device-plugin'), parseOptions([]).port);
    equal(portOf('cni'), Number(parseSettings('', 'f').metrics.split(':').at(-1)));
    deepEqual(
      monitor.spec.endpoints.map(({ port }: Manifest) => port),
      service.spec.ports.map(({ name }: Manifest) => name),
    );
    deepEqual(monitor.spec.selector.matchLabels, service.metadata.labels);
  });

  it('opens the pages to the network, and leaves the rest of the containers as they are', () => {
    const all = renderWith('monitoring');
    if (all === undefined) return;
    const { metadata, spec } = all.find(({ kind }) => kind === 'DaemonSet').spec.template;
    const [base] = readManifests('base/daemonset.yaml');
    deepEqual(spec.containers, base.spec.template.spec.containers);
    const host = metadata.annotations['smartnic.io/metrics-host'];
    for (const { env } of spec.containers) {
      const { valueFrom } = env.find(({ name }: Manifest) => name === 'SMARTNIC_METRICS_HOST');
      equal(valueFrom.fieldRef.fieldPath, "metadata.annotations['smartnic.io/metrics-host']");
    }
    equal(parseOptions([], { SMARTNIC_METRICS_HOST: host }).hostname, '::');
    equal(withVariables(parseSettings('', 'f'), { SMARTNIC_METRICS_HOST: host }).metrics, ':9478');
    const { data } = all.find(({ metadata: { name } }) => name === 'smartnic-dashboard');
    deepEqual(JSON.parse(data['smartnic.json']), dashboard);
  });
});
