// That components/admission agrees with the code, asks for no more than is used, and can stop nobody.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { linger } from '../../../admission/linger.ts';
import { parseOptions } from '../../../admission/options.ts';
import { paths } from '../../../admission/server/review.ts';
import { imageName } from '../../../tools/image/names.ts';
import { type Manifest, readManifests, renderWith } from '../../support/manifests.ts';

const file = (name: string) => readManifests(`components/admission/${name}.yaml`);
const [deployment, budget] = file('deployment');
const [service] = file('service');
const pod = deployment.spec.template.spec;
const [container] = pod.containers;
const options = parseOptions(container.args.slice(1));
const webhooks: readonly Manifest[] = file('webhooks').flatMap((each) => each.webhooks);

describe('components/admission', () => {
  it('runs two replicas of a program that the image has, on nodes of their own where that can be', () => {
    equal(container.image, imageName('smartnic'));
    equal(container.args[0], 'smartnic-admission.mjs');
    equal(deployment.spec.replicas, 2);
    deepEqual(budget.spec, { minAvailable: 1, selector: deployment.spec.selector });
    equal(pod.topologySpreadConstraints[0].whenUnsatisfiable, 'ScheduleAnyway');
    deepEqual(service.spec.selector, deployment.spec.selector.matchLabels);
    equal(container.ports[0].containerPort, options.address.port);
  });

  it('has no rights on the node', () => {
    equal(pod.securityContext.runAsNonRoot, true);
    deepEqual(container.securityContext, {
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    });
    for (const volume of pod.volumes) ok(!('hostPath' in volume), volume.name);
    for (const { optional } of pod.volumes.flatMap((volume: Manifest) => volume.configMap ?? [])) equal(optional, true);
  });

  it('reads networks, and writes only what has its own name', () => {
    const rules = [...file('rbac'), ...file('certificate')].flatMap(({ rules: all = [] }) => all);
    deepEqual(
      rules.map(({ resources, verbs, resourceNames }: Manifest) => [resources.join(), verbs.join(), resourceNames?.join()]),
      [
        ['network-attachment-definitions', 'get,list,watch', undefined],
        ['secrets', 'get,update', options.name],
        ['leases', 'get,update', options.name],
        ['mutatingwebhookconfigurations,validatingwebhookconfigurations', 'get,patch', options.name],
      ],
    );
    const own = [...file('certificate'), ...file('webhooks'), service].filter(({ kind }) => !/Role/.test(kind));
    for (const { metadata } of own) equal(metadata.name, options.name);
  });

  it('can stop nobody: a call that fails or is late is passed over, and the own namespace is not asked about', () => {
    for (const { failurePolicy, timeoutSeconds, sideEffects } of webhooks)
      deepEqual([failurePolicy, timeoutSeconds, sideEffects], ['Ignore', 2, 'None']);
    const ofPods = webhooks.filter(({ name }) => name.startsWith('pods'));
    equal(ofPods.length, 2);
    for (const { namespaceSelector, rules } of ofPods) {
      deepEqual(namespaceSelector.matchExpressions[0].values, [deployment.metadata.namespace]);
      deepEqual(rules[0].operations, ['CREATE']);
    }
  });

  it('is called at every path that it serves, and at no other', () => {
    const called = webhooks.map(({ clientConfig }) => clientConfig.service);
    deepEqual(called.map(({ path }) => path).toSorted(), Object.values(paths).toSorted());
    for (const { name, namespace } of called) deepEqual([name, namespace], [service.metadata.name, service.metadata.namespace]);
  });

  it('gives a replica more time to end than it takes', () => {
    ok(pod.terminationGracePeriodSeconds * 1000 > linger + 2 * 2000);
  });
});

describe('components/admission-cert-manager', () => {
  const all = renderWith('admission', 'admission-cert-manager');
  if (all === undefined) return;
  const one = (kind: string) => all.find((each) => each.kind === kind && each.metadata.name === 'smartnic-admission');

  it("takes cert-manager's certificate, and every right to write with it", () => {
    const [{ args, volumeMounts }] = one('Deployment').spec.template.spec.containers;
    const directory = parseOptions(args.slice(1)).certificate;
    const { name } = volumeMounts.find(({ mountPath }: Manifest) => mountPath === directory);
    const { secret } = one('Deployment').spec.template.spec.volumes.find((each: Manifest) => each.name === name);
    equal(secret.secretName, one('Certificate').spec.secretName);
    match(one('Certificate').spec.dnsNames[0], /^smartnic-admission.kube-system.svc$/);
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])
      deepEqual(one(kind).metadata.annotations, { 'cert-manager.io/inject-ca-from': 'kube-system/smartnic-admission' });
    const roles = all.filter(({ kind, metadata }) => /Role$/.test(kind) && metadata.name.startsWith('smartnic-admission'));
    deepEqual(
      roles.flatMap(({ rules }) => rules.map(({ verbs }: Manifest) => verbs.join())),
      ['get,list,watch'],
    );
    equal(one('Secret') ?? one('Lease'), undefined);
  });
});
