// AdmissionReviews as an API server sends them, and what it is answered.
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { paths, reviewing } from '../../../../admission/server/review.ts';
import { Unavailable } from '../../../../host/base/errors.ts';
import { podOf } from '../../../support/admission.ts';

const config = (more: object) => JSON.stringify({ cniVersion: '1.0.0', name: 'vf', type: 'smartnic', bridge: 'b', ...more });
const network = (name: string, more: object = {}) => ({
  metadata: { name, namespace: 'shop' },
  spec: { config: config(more) },
});
const known = new Map([['shop/vf', network('vf', { vnicType: 'direct' })]]);

/** @param asked - gets the name of every network that is looked up. */
const handlers = (asked: string[] = []) =>
  reviewing({
    known: () => ({}),
    networks: {
      find: async ({ namespace, name }) => {
        asked.push(`${namespace}/${name}`);
        if (name === 'silent') throw new Unavailable('the API server does not answer');
        return known.get(`${namespace}/${name}`);
      },
    },
  });
const review = async (path: string, object: object, more: object = {}, asked: string[] = []) => {
  const request = { uid: 'u1', namespace: 'shop', operation: 'CREATE', object, ...more };
  const reply = await handlers(asked)[path]?.({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
  return reply ?? { status: 0, body: undefined };
};
const response = (body: unknown): Readonly<Record<string, unknown>> => {
  const { apiVersion, kind, response: answer } = Object(body);
  deepEqual([apiVersion, kind, answer.uid], ['admission.k8s.io/v1', 'AdmissionReview', 'u1']);
  return answer;
};

describe('a review', () => {
  it('of a pod is answered with a JSON patch', async () => {
    const { status, body } = await review(paths.mutatePod, podOf({ networks: 'vf' }));
    const { allowed, patchType, patch } = response(body);
    deepEqual([status, allowed, patchType], [200, true, 'JSONPatch']);
    const limits = { 'smartnic.io/direct': '1' };
    deepEqual(JSON.parse(Buffer.from(String(patch), 'base64').toString()), [
      { op: 'add', path: '/spec/containers/0/resources', value: { limits, requests: limits } },
    ]);
  });

  it('of a pod that needs nothing has no patch', async () => {
    deepEqual(response((await review(paths.mutatePod, podOf({}))).body), { uid: 'u1', allowed: true });
  });

  it('of a pod in a namespace that only the request names, as of a controller, looks there', async () => {
    const asked: string[] = [];
    await review(paths.mutatePod, podOf({ networks: 'vf,other/vf,vf' }), {}, asked);
    deepEqual(asked, ['shop/vf', 'other/vf']);
  });

  it('of a pod that can not be plugged says no, and why', async () => {
    const { allowed, status, warnings } = response(
      (await review(paths.judgePod, podOf({ networks: 'vf', vnicType: 'sriov' }))).body,
    );
    deepEqual([allowed, warnings], [false, undefined]);
    match(Object(status).message, /^annotation smartnic.io\/vnic-type: unknown vnic type "sriov"/);
  });

  it('carries warnings', async () => {
    const { allowed, warnings } = response((await review(paths.judgePod, podOf({ networks: 'gone' }))).body);
    equal(allowed, true);
    match(String(warnings), /^there is no NetworkAttachmentDefinition shop\/gone/);
  });

  it('of a network fills in what it can, and judges the rest', async () => {
    const { patch } = response((await review(paths.mutateNetwork, network('n', { vnicType: 'direct' }))).body);
    match(Buffer.from(String(patch), 'base64').toString(), /"k8s.v1.cni.cncf.io\/resourceName":"smartnic.io\/direct"/);
    const wrong = network('n', { vlna: 1 });
    equal(response((await review(paths.judgeNetwork, wrong)).body)['allowed'], false);
    equal(response((await review(paths.judgeNetwork, wrong, { operation: 'UPDATE', oldObject: wrong })).body)['allowed'], true);
    const leaving = { ...wrong, metadata: { ...wrong.metadata, deletionTimestamp: '2026-11-28T00:00:00Z' } };
    equal(response((await review(paths.judgeNetwork, leaving)).body)['allowed'], true);
  });

  it('is an error, which passes, when a network can not be looked up or the object is something else', async () => {
    await rejects(review(paths.mutatePod, podOf({ networks: 'silent' })), /the API server does not answer/);
    await rejects(review(paths.mutatePod, { metadata: {}, spec: {} }), /^Error: this is no pod: spec.containers: is missing$/);
  });

  it('that is none is told so', async () => {
    const reply = await handlers()[paths.mutatePod]?.({ apiVersion: 'admission.k8s.io/v1beta1', kind: 'AdmissionReview' });
    equal(reply?.status, 400);
    match(
      String(reply?.body),
      /^this is no AdmissionReview: apiVersion: "admission.k8s.io\/v1beta1" is not one of admission.k8s.io\/v1; request: is missing/,
    );
  });

  it('of a pod with thousands of networks asks for none of them', async () => {
    const asked: string[] = [];
    const networks = Array.from({ length: 5000 }, (_, at) => `n${at}`).join();
    match(
      String(response((await review(paths.judgePod, podOf({ networks }), {}, asked)).body)['warnings']),
      /names 5000 networks/,
    );
    deepEqual(asked, []);
  });

  it('reads a network once for as long as the watch has it, and then the new one', async () => {
    let reads = 0;
    const watched = (vnicType: string) => ({
      metadata: { name: 'vf', namespace: 'shop' },
      spec: {
        get config() {
          reads += 1;
          return config({ vnicType });
        },
      },
    });
    let object = watched('direct');
    const mutate = reviewing({ known: () => ({}), networks: { find: async () => object } })[paths.mutatePod];
    const limitsOf = async (networks: string) => {
      const request = { uid: 'u1', namespace: 'shop', object: podOf({ networks }) };
      const { patch } = response((await mutate?.({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request }))?.body);
      return JSON.parse(Buffer.from(String(patch), 'base64').toString())[0].value.limits;
    };
    deepEqual(await limitsOf('vf'), { 'smartnic.io/direct': '1' });
    const once = reads;
    const own = '[{"name": "vf", "cni-args": {"vnicType": "virtio-forwarder"}}]';
    deepEqual(await limitsOf(own), { 'smartnic.io/virtio-forwarder': '1' });
    deepEqual(await limitsOf('vf,vf@i'), { 'smartnic.io/direct': '2' });
    equal(reads, once);
    object = watched('virtio-forwarder');
    deepEqual(await limitsOf('vf'), { 'smartnic.io/virtio-forwarder': '1' });
  });
});
