// What the shim prints when something is wrong: always one whole CNI error, never half an answer.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answer, describeShim, type Ended, serve, start } from '../../../support/shim.ts';

describeShim('an error of the shim', (shim) => {
  let directory: string;
  let socket: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'smartnic-'));
    chmodSync(directory, 0o755);
    socket = join(directory, 'cni.sock');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** The error object, which must be the only thing on stdout, UTF-8 without a flaw, and come with exit status 1. */
  const errorOf = (ended: Ended) => {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(ended.stdout);
    assert.ok(text.endsWith('}\n'), text);
    const error = JSON.parse(text);
    assert.deepEqual(Object.keys(error), ['cniVersion', 'code', 'msg', 'details']);
    assert.deepEqual([ended.exit, ended.signal], [1, null]);
    return error;
  };

  it('is code 5 with the beginning of an answer that is not of the protocol', async () => {
    const malformed = [
      'HTTP/1.1 400 Bad Request\r\n\r\n',
      '0 0 0\n',
      '+0 0 0\n',
      '+\n\n',
      '+\n0 0\n',
      '+\n0 0 0 0\n',
      '+\n0  0 0\n',
      '+\n0  \n',
      '+\n  0\n',
      '+\n-1 0 0\n',
      '+\n256 0 0\n',
      '+\n0 16777217 0\n',
      '+\n0 16777216 1\n',
      '+\n0 99999999999999999999999999 0\n',
      `+\n${'0'.repeat(40)}`,
      '+\n0 a 0\n',
      '+\n0 5 0\r\nabcde',
    ];
    for (const bytes of malformed) {
      await using _server = await serve(socket, (connection) => connection.write(bytes));
      const error = errorOf(await start(shim.path, { command: 'DEL', socket }).ended);
      assert.equal(error.code, 5, bytes);
      assert.match(error.msg, /^the server at .* answered '.*', which is not/s);
      assert.match(error.details, /of one release/);
    }
  });

  it('replaces an answer that is not complete', async () => {
    for (const bytes of ['+', '+\n', '+\n0 5', '+\n0 5 2\nabcde', '+\n0 5 2\nabcdex']) {
      await using _server = await serve(socket, (connection) => connection.end(bytes));
      assert.equal(errorOf(await start(shim.path, { command: 'ADD', socket }).ended).code, 11);
    }
  });

  it('is code 6 with the limit when stdin is longer than 4 MiB', async () => {
    await using server = await serve(socket, (connection) => connection.end(answer('')));
    const input = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');
    input.write('{"cniVersion":"0.3.1"');
    const error = errorOf(await start(shim.path, { command: 'ADD', socket, input }).ended);
    assert.deepEqual([error.cniVersion, error.code, error.msg], ['0.3.1', 6, 'stdin is longer than the limit of 4194304 bytes']);
    assert.equal(server.connections(), 0);
  });

  it('is code 5 when stdin is closed or cannot be read', async () => {
    for (const redirect of ['0<&-', '0</']) {
      const error = errorOf(await start(shim.path, { command: 'ADD', socket, redirect }).ended);
      assert.equal(error.code, 5);
      assert.match(error.msg, /^cannot read stdin: (Bad file descriptor|Is a directory)$/);
    }
  });

  it('is code 4 naming the variable when the path of the socket is too long', async () => {
    const longest = join(directory, 'x'.repeat(107 - directory.length - 1));
    await using _server = await serve(longest, (connection) => connection.end(answer('done')));
    assert.equal((await start(shim.path, { command: 'ADD', socket: longest }).ended).stdout.toString(), 'done');
    const error = errorOf(await start(shim.path, { command: 'ADD', socket: `${longest}x` }).ended);
    assert.equal(error.code, 4);
    assert.match(error.msg, /^SMARTNIC_SOCKET is 108 bytes long/);
  });

  it('is code 5 and says that it needs root when the socket may not be used', async () => {
    await using _server = await serve(socket, (connection) => connection.end(answer('')));
    chmodSync(socket, 0);
    const uid = process.getuid?.() === 0 ? { uid: 65534 } : {};
    const ended = await start(shim.path, { command: 'ADD', socket, ...uid }).ended;
    const error = errorOf(ended);
    assert.equal(error.code, 5);
    assert.match(error.msg, /needs root: Permission denied/);
    assert.ok(ended.ms < 1000, `${ended.ms} ms`);
  });

  it('carries the version of the configuration where that has one', async () => {
    const versions = {
      '{"cniVersion":"0.4.0","serverWait":0}': '0.4.0',
      '{"serverWait":0,"plugin":{"cniVersion":"0.3.0"},"cniVersion" : "1.0.0"}': '1.0.0',
      '{"serverWait":0,"plugin":{"cniVersion":"0.3.0"}}': '1.1.0',
      '{"serverWait":0,"cniVersion":"1.0\\"}"}': '1.1.0',
      '{"serverWait":0,"cniVersion":""}': '1.1.0',
      '{"serverWait":0,"cniVersion":1.0}': '1.1.0',
      '{"serverWait":0,"cniVersion":"1111111111111111"}': '1.1.0',
      '{"serverWait":0,"cniVersion":"1.0': '1.1.0',
    };
    for (const [input, version] of Object.entries(versions)) {
      assert.equal(errorOf(await start(shim.path, { command: 'ADD', socket, input }).ended).cniVersion, version, input);
    }
  });

  it('is JSON whatever bytes stand in it', async () => {
    const octal = [
      '"',
      '\\134',
      '\\001',
      '\\n',
      '\\303\\244',
      '\\342\\202\\254',
      '\\360\\237\\230\\200',
      '\\377',
      '\\300\\200',
      '\\355\\240\\200',
    ];
    const program = `SMARTNIC_SOCKET=$(printf '/nowhere/${octal.join('')}\\342\\202/') exec ${shim.path}`;
    const call = { command: 'ADD', env: { CNI_IFNAME: 'ä€😀 and more' }, args: ['-c', program], input: '{"serverWait":0}' };
    const error = errorOf(await start('/bin/sh', call).ended);
    assert.ok(
      error.msg.includes('/nowhere/"\\\u0001\nä€😀\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd/ carried out ADD ä€😀 and'),
      error.msg,
    );
  });

  it('shows as exit status when stdout is closed', async () => {
    const unexpected: Buffer[] = [];
    await using server = await serve(socket, (connection, { before }) => {
      connection.on('data', (bytes: Buffer) => unexpected.push(bytes));
      if (before < 2) connection.end(answer('{}', 'log\n'));
      else connection.write('malformed');
    });
    const closed = await start(shim.path, { command: 'ADD', socket, redirect: '>&-' }).ended;
    assert.deepEqual([closed.exit, closed.signal], [1, null]);
    assert.equal(closed.stderr, "smartnic: cannot print the server's answer on stdout: Bad file descriptor\nlog\n");
    const both = await start(shim.path, { command: 'ADD', socket, redirect: '>&- 2>&-' }).ended;
    assert.deepEqual([both.exit, both.signal], [1, null]);
    assert.equal((await start(shim.path, { command: 'ADD', socket, redirect: '>&-' }).ended).exit, 1);
    assert.equal(server.connections(), 3);
    assert.equal(Buffer.concat(unexpected).toString(), '', 'the socket took the place of a closed descriptor');
  });

  it('shows as exit status when nobody reads stdout any more', async () => {
    await using _server = await serve(socket, (connection) => {
      child.stdout?.destroy();
      setTimeout(() => connection.end(answer(Buffer.alloc(1024 * 1024), 'log\n')), 50);
    });
    const { child, ended } = start(shim.path, { command: 'ADD', socket });
    const { exit, signal, stderr } = await ended;
    assert.deepEqual([exit, signal], [1, null]);
    assert.match(stderr, /cannot print .*: (Broken pipe|Connection reset by peer)\nlog\n$/);
  });
});
