// What the runtime hands to the shim reaches the server unchanged, and what the server answers comes out unchanged.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answer, describeShim, has, serve, start } from '../../../support/shim.ts';

const MiB = 1024 * 1024;

describeShim('the shim', (shim) => {
  let directory: string;
  let socket: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'smartnic-'));
    socket = join(directory, 'cni.sock');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const say = (bytes: Buffer) => (connection: Socket) => connection.end(bytes);

  if (!shim.sanitized) {
    it('is small and asks the host for no loader', () => {
      const file = readFileSync(shim.path);
      const limit = has('musl-gcc') ? 100 * 1024 : MiB;
      assert.ok(file.length <= limit, `${file.length} bytes`);
      const headers = Array.from(
        { length: file.readUInt16LE(56) },
        (_, i) => Number(file.readBigUInt64LE(32)) + i * file.readUInt16LE(54),
      );
      assert.ok(!headers.some((at) => file.readUInt32LE(at) === 3), 'it has a PT_INTERP header');
    });
  }

  it('says what it is when nobody asks for anything', async () => {
    for (const env of [{}, { CNI_COMMAND: '' }]) {
      const ended = await start(shim.path, { env, input: null }).ended;
      assert.equal(ended.exit, 0);
      assert.equal(ended.stdout.toString(), '');
      assert.match(
        ended.stderr,
        /^smartnic .*\nCNI protocol versions supported: 0\.3\.0, 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0\n$/s,
      );
    }
    const unknown = await start(shim.path, { args: ['vfs'] }).ended;
    assert.equal(unknown.exit, 2);
    assert.match(unknown.stderr, /unknown argument vfs/);
  });

  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../../package.json'), 'utf8'));
    const ended = await start(shim.path, { args: ['--version'] }).ended;
    assert.deepEqual([ended.exit, ended.stdout.toString()], [0, shim.sanitized ? 'test\n' : `${version}\n`]);
  });

  it('answers VERSION without a server, in the version of the question, also when none comes', async () => {
    const cases = [
      [null, '1.1.0'], // a stdin that stays open and says nothing
      ['', '1.1.0'],
      ['garbage', '1.1.0'],
      ['{"cniVersion":"1.0.0"}', '1.0.0'],
      [
        JSON.stringify({ name: 'n', prevResult: { cniVersion: '0.3.0' }, cniVersion: '0.4.0', more: 'x'.repeat(200_000) }),
        '0.4.0',
      ],
      ['{"cniVersion":"1.2.0"}', '1.2.0'],
      ['{"cniVersion":"1.0.0\\",\\"a"}', '1.1.0'],
    ] as const;
    for (const [input, cniVersion] of cases) {
      const ended = await start(shim.path, { command: 'VERSION', socket: '/nowhere', input }).ended;
      assert.equal(ended.exit, 0);
      const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
      assert.deepEqual(JSON.parse(ended.stdout.toString()), { cniVersion, supportedVersions });
    }
  });

  it('sends the variables of the protocol that are set, and no others', async () => {
    await using server = await serve(socket, say(answer('')));
    const sent = {
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: '',
      CNI_IFNAME: 'net1',
      CNI_ARGS: 'K=ä\n=;"\\',
      TRACEPARENT: '00-1',
      BAGGAGE: 'b',
    };
    const env = { ...sent, HOME: '/', CNI_PATHS: 'x', XCNI_PATH: 'x' };
    await start(shim.path, { command: 'ADD', socket, env }).ended;
    const expected = ['CNI_COMMAND=ADD', ...Object.entries(sent).map(([name, value]) => `${name}=${value}`)];
    const latin1 = (text: string) => Buffer.from(text).toString('latin1');
    assert.deepEqual(server.asked[0]?.env.toSorted(), expected.map(latin1).toSorted());
  });

  it('leaves unknown commands and unusual bytes to the server', async () => {
    await using server = await serve(socket, say(answer('')));
    const input = Buffer.from([0, 255, 10, 0, 128]);
    const ended = await start('/usr/bin/env', {
      args: ['-i', `SMARTNIC_SOCKET=${socket}`, 'sh', '-c', `CNI_COMMAND=$(printf 'A\\377') exec ${shim.path}`],
      input,
    }).ended;
    assert.equal(ended.exit, 0);
    assert.deepEqual(server.asked[0]?.env, ['CNI_COMMAND=A\xff']);
    assert.deepEqual(server.asked[0]?.stdin, input);
  });

  it('keeps its side open until it has the answer', async () => {
    let halfClosed = false;
    await using _server = await serve(socket, (connection) => {
      connection.on('end', () => {
        halfClosed = true;
      });
      setTimeout(() => {
        if (!halfClosed) connection.end(answer('{}'));
      }, 100);
    });
    const ended = await start(shim.path, { command: 'ADD', socket }).ended;
    assert.deepEqual([ended.exit, ended.stdout.toString()], [0, '{}']);
  });

  it('passes on stdout, stderr and exit status', async () => {
    for (const exit of [0, 1, 7, 255]) {
      await using _server = await serve(socket, say(answer('o\0ut', 'err\n', exit)));
      const ended = await start(shim.path, { command: 'DEL', socket }).ended;
      assert.deepEqual([ended.exit, ended.stdout.toString(), ended.stderr], [exit, 'o\0ut', 'err\n']);
    }
  });

  it('takes 4 MiB of stdin and 16 MiB of answer', async () => {
    const [stdout, stderr] = [Buffer.alloc(15 * MiB, 'o'), Buffer.alloc(MiB, 'e')];
    await using server = await serve(socket, say(answer(stdout, stderr)));
    for (const input of [Buffer.alloc(MiB, 'i'), Buffer.alloc(4 * MiB, 'j')]) {
      const ended = await start(shim.path, { command: 'ADD', socket, input }).ended;
      assert.equal(ended.exit, 0);
      assert.ok(ended.stdout.equals(stdout) && ended.stderr === stderr.toString());
      assert.ok(server.asked.at(-1)?.stdin.equals(input));
    }
  });

  it('takes an answer byte by byte, and stdin too', async () => {
    await using server = await serve(socket, async (connection) => {
      connection.setNoDelay();
      for (const byte of answer('{"a":1}', 'log\n', 3)) {
        connection.write(Buffer.of(byte));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      connection.end();
    });
    const { child, ended } = start(shim.path, { command: 'ADD', socket, input: null });
    for (const byte of '{"b":2}') {
      child.stdin?.write(byte);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.stdin?.end();
    const { exit, stdout, stderr } = await ended;
    assert.deepEqual([exit, stdout.toString(), stderr], [3, '{"a":1}', 'log\n']);
    assert.equal(server.asked[0]?.stdin.toString(), '{"b":2}');
  });

  it('takes a header in two pieces, and prints as soon as the answer is complete', async () => {
    await using _server = await serve(socket, (connection) => {
      connection.write('+\n0 1');
      setTimeout(() => connection.write('0 0\n0123456789 and nothing of this'), 50);
    });
    const ended = await start(shim.path, { command: 'ADD', socket }).ended;
    assert.equal(ended.stdout.toString(), '0123456789');
  });

  it('gives each of 200 callers at once its own answer', async () => {
    await using _server = await serve(socket, (connection, asked) => connection.end(answer(asked.stdin)));
    const numbers = Array.from({ length: shim.sanitized ? 40 : 200 }, (_, number) => `{"number":${number}}`);
    const ended = await Promise.all(numbers.map((input) => start(shim.path, { command: 'ADD', socket, input }).ended));
    assert.deepEqual(
      ended.map(({ exit, stdout }) => `${exit} ${stdout}`),
      numbers.map((input) => `0 ${input}`),
    );
  });
});
