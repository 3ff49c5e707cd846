import assert from 'node:assert/strict';
import { parseOvsdbAddress } from '../../../../host/ovs/ovsdb.ts';

describe('the address of an OVSDB server', () => {
  it('is a unix socket, or a host and a port', () => {
    const read = (text: string) => {
      const { text: same, ...rest } = parseOvsdbAddress(text);
      assert.equal(same, text);
      return rest;
    };
    assert.deepEqual(read('unix:/run/openvswitch/db.sock'), { kind: 'unix', path: '/run/openvswitch/db.sock' });
    assert.deepEqual(read('tcp:127.0.0.1:6640'), { kind: 'tcp', host: '127.0.0.1', port: 6640 });
    assert.deepEqual(read('tcp:[::1]:6640'), { kind: 'tcp', host: '::1', port: 6640 });
    assert.deepEqual(read('ssl:[fe80::1%eth0]:6640'), { kind: 'ssl', host: 'fe80::1%eth0', port: 6640 });
    assert.deepEqual(read('ssl:ovsdb.example.org:1'), { kind: 'ssl', host: 'ovsdb.example.org', port: 1 });
  });

  it('is nothing else, and the error names the value and the forms', () => {
    const wrong = [
      '',
      'unix:',
      'unix:db.sock',
      'unix:/',
      '/run/openvswitch/db.sock',
      'ptcp:6640',
      'tcp:6640',
      'tcp:host',
      'tcp:host:',
      'tcp:host:0',
      'tcp:host:65536',
      'tcp:::1:6640',
      'tcp:[::1:6640',
      'tcp:[]:6640',
      'tcp:[host]:6640',
      'tcp: host:6640',
      'tcp:host:6640 ',
      'tcp:host/x:6640',
      'udp:host:6640',
      'ssl:host:1e3',
    ];
    for (const text of wrong) {
      const message = `"${text}" is not an OVSDB address; write unix:/absolute/path, tcp:HOST:PORT or ssl:HOST:PORT, an IPv6 host in brackets`;
      assert.throws(() => parseOvsdbAddress(text), { message });
    }
  });

  it('is no path that the kernel would cut off', () => {
    assert.equal(parseOvsdbAddress(`unix:/${'x'.repeat(106)}`).kind, 'unix');
    assert.throws(() => parseOvsdbAddress(`unix:/${'x'.repeat(107)}`), /107 bytes/);
    assert.throws(() => parseOvsdbAddress(`unix:/${'ü'.repeat(54)}`), /107 bytes/);
  });
});
