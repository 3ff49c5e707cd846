// CDI kinds and files, for resource names that kubelet takes and CDI does not take as they are.
import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict';
import { cdiFile, cdiName, cdiSpec } from '../../../inventory/files/cdi.ts';
import { deviceInfoFiles } from '../../../inventory/files/device-info.ts';
import { someResource, someVfs } from '../../support/resources.ts';

const resource = (name: string) => someResource(name, someVfs([1], 1));
const spec = (name: string): { cdiVersion: string; kind: string } => JSON.parse(cdiSpec(resource(name)));
const longest = `${'a'.repeat(61)}.${'b'.repeat(61)}.${'c'.repeat(61)}.${'d'.repeat(58)}/${'e'.repeat(63)}`;

describe('a CDI kind', () => {
  it("is the resource's name where CDI takes it", () => {
    deepEqual(spec('smartnic.io/direct'), { ...spec('smartnic.io/direct'), cdiVersion: '0.5.0', kind: 'smartnic.io/direct' });
  });

  it('with a dot in its second part is of version 0.6.0, which is the first to take one', () => {
    deepEqual([spec('x.io/a.b').cdiVersion, spec('x.io/a.b').kind], ['0.6.0', 'x.io/a.b']);
  });

  it("begins each part with a letter, stays the same, and is no other resource's", () => {
    for (const name of ['10g.example.com/direct', 'example.com/10G', '1.example/2']) {
      const { kind } = spec(name);
      match(kind, /^[A-Za-z][A-Za-z0-9._-]*\/[A-Za-z][A-Za-z0-9._-]*$/);
      equal(kind, spec(name).kind);
      equal(cdiName(resource(name), { id: '0000:01:01.0' }), `${kind}=0000:01:01.0`);
      notEqual(kind, spec(kind.replace(/-/, '')).kind);
    }
  });

  it('is kept in a file whose name fits', () => {
    equal(cdiFile(resource('smartnic.io/direct')), 'smartnic.io_direct.json');
    ok(cdiFile(resource(longest)).length < 255);
  });
});

describe('device-info', () => {
  it('of a resource whose name is too long for a file is not written, and the others are', () => {
    deepEqual([...deviceInfoFiles([resource(longest), resource('x.io/a')]).keys()], ['x.io-a-0000:01:01.0-device.json']);
  });
});
