import assert from 'node:assert/strict';
import { CniError, coded, codes, renderError } from '../../../../cni/protocol/errors.ts';
import { Unavailable } from '../../../../host/base/errors.ts';
import { Refusal } from '../../../../network/refusal.ts';

describe('a CNI error', () => {
  it('passes through when it has a code already', () => {
    const error = new CniError(7, 'x');
    assert.equal(coded(error, codes.plugFailed), error);
  });

  it('is "try again" for what is only down, whatever was being done', () => {
    assert.equal(coded(new Unavailable('OVSDB is down'), codes.broken).code, 11);
  });

  it('is 2 for a key that a network may not have, 7 for a value, whatever was being done', () => {
    const [key, value] = [new Refusal('x', { kind: 'unknown key' }), new Refusal('x')];
    assert.deepEqual([coded(key, codes.plugFailed).code, coded(value, codes.plugFailed).code], [2, 7]);
  });

  it('takes the code of what was being done, else 999; the words stay', () => {
    assert.deepEqual([coded(new Error('x'), 100).code, coded(new Error('x')).code, coded('text').message], [100, 999, 'text']);
  });

  it('is printed with its causes, each said once, outermost first', () => {
    const root = new Error('EPERM');
    const middle = new Error('link sn1: EPERM', { cause: root });
    const error = coded(new Error('the cable can not be made', { cause: middle }), 100);
    assert.deepEqual(JSON.parse(renderError(error, '1.0.0')), {
      cniVersion: '1.0.0',
      code: 100,
      msg: 'the cable can not be made',
      details: 'link sn1: EPERM: EPERM',
    });
  });

  it('is printed with its details instead, and without the key when there are none', () => {
    assert.equal(JSON.parse(renderError(new CniError(4, 'x', { details: 'd', cause: new Error('c') }), '1.0.0')).details, 'd');
    assert.equal(renderError(new CniError(4, 'x'), '1.1.0'), '{"cniVersion":"1.1.0","code":4,"msg":"x"}');
  });

  it('is printed also when its causes go round in a circle', () => {
    const a = new Error('a');
    const b = new Error('b', { cause: a });
    Object.assign(a, { cause: b });
    assert.equal(JSON.parse(renderError(coded(a, 100), '1.0.0')).details, 'b');
  });
});
