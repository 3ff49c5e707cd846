import assert from 'node:assert/strict';
import { parseAnswer, parseRequest } from '../../../../host/forwarder/relay-protocol.ts';

const pair = {
  device: '0000:0a:00.1',
  socket: '/run/smartnic/vhost/0000:0a:00.1/vhost.sock',
  mac: '02:00:00:00:00:01',
  mtu: 1500,
};
const attach = (more: object) => JSON.stringify({ op: 'attach', pair: { ...pair, ...more } });

describe("a line on the supervisor's socket", () => {
  it('asks to attach, to detach, or what is attached', () => {
    assert.deepEqual(parseRequest(attach({})), { op: 'attach', pair });
    assert.deepEqual(parseRequest(attach({ device: 'eth0.5' })), { op: 'attach', pair: { ...pair, device: 'eth0.5' } });
    const behindVmd = attach({ device: '10000:01:00.1', socket: '/run/smartnic/vhost/10000:01:00.1/vhost.sock' });
    assert.equal(parseRequest(behindVmd).op, 'attach');
    const { device, socket } = pair;
    assert.deepEqual(parseRequest(JSON.stringify({ op: 'detach', pair: { device, socket } })).op, 'detach');
    assert.deepEqual(parseRequest('{"op":"attached"}'), { op: 'attached' });
  });

  const bad: readonly (readonly [string, RegExp])[] = [
    ['', /not a line of JSON/],
    ['[]', /is not an object/],
    ['{"op":"stop"}', /op/],
    ['{"op":"attached","all":true}', /unknown key "all"/],
    [attach({ core: 1 }), /unknown key "core" in pair/],
    [attach({ device: '-a' }), /pair\.device: "-a" is neither a PCI address/],
    [attach({ device: 'eth0,iface=eth1' }), /pair\.device/],
    [attach({ device: '../x' }), /pair\.device/],
    [attach({ device: '0000:0A:00.1' }), /pair\.device: .* in lower case/],
    [attach({ socket: 'vhost.sock' }), /pair\.socket: .* is not an absolute path/],
    [attach({ socket: '/run/a,client=0' }), /pair\.socket/],
    [attach({ socket: '/run/a b' }), /pair\.socket/],
    [attach({ socket: '/run/../etc/x' }), /pair\.socket: .* goes through \.\./],
    [attach({ socket: `/${'x'.repeat(107)}` }), /pair\.socket: .* is longer than 107 characters/],
    [attach({ mac: '02-00-00-00-00-01' }), /pair\.mac/],
    [attach({ mtu: 0 }), /pair\.mtu: 0 is below the least, 68/],
    [attach({ mtu: '1500' }), /pair\.mtu: "1500" is not a number/],
  ];
  for (const [line, words] of bad) {
    it(`is refused, naming what is wrong: ${line.slice(0, 70)}`, () => {
      assert.throws(() => parseRequest(line), words);
    });
  }

  it('answers what is attached, or an error', () => {
    assert.deepEqual(parseAnswer('{"ok":true,"attached":[]}'), { ok: true, attached: [] });
    assert.deepEqual(parseAnswer('{"ok":false,"error":"no"}'), { ok: false, error: 'no' });
    assert.throws(() => parseAnswer('hello'), /not a line of JSON/);
  });
});
