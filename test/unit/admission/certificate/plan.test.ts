// When a CA and a certificate are made anew: real certificates, at any time of their life.
import { equal, ok } from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { issueAuthority, issueServing, type KeyPair } from '../../../../admission/certificate/issue.ts';
import {
  canServe,
  type Material,
  type Moment,
  nextStep,
  splitPem,
  withAuthority,
} from '../../../../admission/certificate/plan.ts';

const day = 86_400_000;
const now = Date.now();
const names = ['a.kube-system.svc', 'a.kube-system.svc.cluster.local'] as const;

describe('a certificate of our own', () => {
  let old: KeyPair;
  let authority: KeyPair;
  let serving: KeyPair;
  let material: Material;
  before(async () => {
    old = await issueAuthority('smartnic-admission', { now, days: 730 });
    authority = await issueAuthority('smartnic-admission', { now, days: 730 });
    serving = await issueServing(authority, names, { now, days: 90 });
    material = { authorities: [authority.certificate], authorityKey: authority.key, ...serving };
  });
  const step = (change: Partial<Material> = {}, moment: Partial<Moment> = {}) =>
    nextStep({ ...material, ...change }, { now, names, settle: 20_000, ...moment });

  it('is what a TLS client trusts: for its names, signed by the CA, of version 3', () => {
    const certificate = new X509Certificate(serving.certificate);
    const ca = new X509Certificate(authority.certificate);
    ok(certificate.verify(ca.publicKey) && certificate.checkIssued(ca) && ca.ca && !certificate.ca);
    equal(certificate.subjectAltName, names.map((name) => `DNS:${name}`).join(', '));
    ok(canServe(serving) && !canServe({ ...serving, key: old.key }));
  });

  const rows: readonly (readonly [string, () => ReturnType<typeof step>, ReturnType<typeof step>])[] = [
    ['is left alone while all is well', () => step(), undefined],
    ['begins with a CA', () => step({ authorities: [], authorityKey: undefined }), 'new authority'],
    ['gets a new CA when its key is lost', () => step({ authorityKey: undefined }), 'new authority'],
    ["gets a new CA when its key is another one's", () => step({ authorityKey: serving.key }), 'new authority'],
    ['gets a new CA when that is no certificate', () => step({ authorities: ['nonsense'] }), 'new authority'],
    ['gets a new CA after two thirds of its life', () => step({}, { now: now + 500 * day }), 'new authority'],
    ['is made when there is none', () => step({ certificate: undefined, key: undefined }), 'new certificate'],
    ['is made anew when its key is lost', () => step({ key: undefined }), 'new certificate'],
    ['is made anew for other names', () => step({}, { names: ['b.kube-system.svc'] }), 'new certificate'],
    [
      'is made anew when nobody trusts its CA',
      () => step({ authorities: [old.certificate], authorityKey: old.key }),
      'new certificate',
    ],
    ['stays for two thirds of its life', () => step({}, { now: now + 59 * day }), undefined],
    ['is made anew after that', () => step({}, { now: now + 61 * day }), 'new certificate'],
  ];
  for (const [name, found, expected] of rows) it(name, () => equal(found(), expected));

  it('of the CA before stays until all callers have had time to hear of the new one', () => {
    const change = { authorities: [old.certificate, authority.certificate], authorityKey: old.key };
    equal(step(change), undefined);
    equal(step(change, { trustedFor: 19_000 }), undefined);
    equal(step(change, { trustedFor: 20_000 }), 'new certificate');
    equal(step(change, { now: now + 91 * day }), 'new certificate');
  });

  it('leaves callers no more than two CAs, and none that is over', () => {
    const third = 'x';
    const both = [authority.certificate, old.certificate];
    equal(withAuthority({ authorities: both }, third, now).join(), [third, authority.certificate].join());
    equal(withAuthority({ authorities: both }, third, now + 731 * day).join(), third);
    equal(splitPem(both.join('rubbish')).length, 2);
  });
});
