import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../../../../host/base/errors.ts';
import { ask, NotListening } from '../../../../host/forwarder/xvio/zmq-request.ts';

const greeting = (mechanism = 'NULL') =>
  Buffer.from(`ff00000000000000017f0301${Buffer.from(mechanism).toString('hex').padEnd(104, '0')}`, 'hex');
const ready = (type: string) =>
  Buffer.from(
    `04${(0x16 + type.length).toString(16)}05${hex('READY')}0b${hex('Socket-Type')}000000${byte(type)}${hex(type)}`,
    'hex',
  );
const hex = (text: string) => Buffer.from(text).toString('hex');
const byte = (text: string) => text.length.toString(16).padStart(2, '0');

/** What libzmq 4.3.5 sends as REP; the answer may be cut off. */
const rep = [greeting(), ready('REP')];

describe('a question in ZeroMQ', () => {
  let dir = '';
  let endpoint = '';
  let server: ReturnType<typeof createServer>;
  let received = Buffer.alloc(0);
  let behave: (socket: Socket, received: Buffer) => void = () => {};
  const sockets = new Set<Socket>();
  let newest: Socket | undefined;
  const question = (timeout = 5000) => {
    newest = undefined;
    return ask({ endpoint, body: Buffer.from('2001', 'hex'), timeout, what: 'QUERY_PCI' });
  };

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'zmq-'));
    endpoint = `ipc://${dir}/port`;
    server = createServer((socket) => {
      received = Buffer.alloc(0);
      sockets.add(socket);
      newest = socket;
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        // A late answer to the previous question must not count for this one.
        if (socket !== newest) return;
        received = Buffer.concat([received, chunk]);
        behave(socket, received);
      });
    });
    await new Promise<void>((resolve) => server.listen(join(dir, 'port'), resolve));
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(dir, { recursive: true });
  });

  /** Sends the parts when as many bytes of ours are there. */
  const script = (...steps: readonly (readonly [number, Buffer])[]) => {
    let at = 0;
    behave = (socket, { length }) => {
      for (let step = steps[at]; step !== undefined && length >= step[0]; step = steps[at]) {
        socket.write(step[1]);
        at += 1;
      }
    };
  };
  const readySize = 2 + 6 + 12 + 4 + 3 + 9 + 4;

  it("says what libzmq's REQ says, byte for byte, and gives the answer's body", async () => {
    const answer = Buffer.from('010000024869', 'hex');
    script([64, rep[0] ?? answer], [64 + readySize, rep[1] ?? answer], [64 + readySize + 6, answer]);
    assert.equal((await question()).toString(), 'Hi');
    const sent = received.toString('hex');
    assert.equal(sent.slice(0, 128), greeting().toString('hex'));
    assert.equal(
      sent.slice(128, 128 + 2 * readySize),
      `0426${'05'}${hex('READY')}0b${hex('Socket-Type')}00000003${hex('REQ')}08${hex('Identity')}00000000`,
    );
    assert.equal(sent.slice(128 + 2 * readySize), '010000022001');
  });

  it('takes answers in any pieces, with commands in between, longer than 255 bytes too', async () => {
    const body = Buffer.alloc(70_000, 'x');
    const head = Buffer.alloc(9);
    head[0] = 2;
    head.writeBigUInt64BE(BigInt(body.length), 1);
    const ping = Buffer.from(`0407${'04'}${hex('PING')}0000`, 'hex');
    const all = Buffer.concat([...rep, ping, Buffer.from('0100', 'hex'), head, body]);
    behave = (socket) => {
      behave = () => {};
      for (let at = 0; at < 200; at++) socket.write(all.subarray(at, at + 1));
      socket.write(all.subarray(200));
    };
    assert((await question()).equals(body));
  });

  it('says within its time that nothing came, and Unavailable', async () => {
    script([64, Buffer.concat(rep)]);
    await assert.rejects(question(150), (error: Error) => {
      assert(error instanceof Unavailable && !(error instanceof NotListening));
      assert.match(error.message, /did not answer QUERY_PCI at ipc:.*nothing came within 150 ms/);
      return true;
    });
  });

  it('says what is wrong when the peer hangs up, wants security, refuses, or sends without end', async () => {
    const cases = [
      [(socket: Socket) => socket.destroy(), /closed the connection/],
      [(socket: Socket) => socket.write(greeting('CURVE')), /does not speak ZeroMQ 3 without security/],
      [(socket: Socket) => socket.write(`HTTP/1.1 400 Bad Request${' '.repeat(80)}`), /does not speak ZeroMQ/],
      [
        (socket: Socket) => socket.write(Buffer.concat([greeting(), Buffer.from(`040905${hex('ERROR')}026e6f`, 'hex')])),
        /refused the connection: no/,
      ],
      [
        (socket: Socket) => socket.write(Buffer.concat([...rep, Buffer.from('0200000000ffffffff', 'hex')])),
        /began a frame of 4294967295 bytes/,
      ],
    ] as const;
    for (const [act, words] of cases) {
      behave = (socket) => {
        behave = () => {};
        act(socket);
      };
      await assert.rejects(question(), { name: 'Unavailable', message: words });
    }
  });

  it('tells a daemon that is not there from one that does not answer: then nothing was asked', async () => {
    await assert.rejects(
      ask({ endpoint: `${endpoint}-none`, body: Buffer.alloc(0), timeout: 100, what: 'statistics' }),
      (error) => {
        assert(error instanceof NotListening);
        assert.match(error.message, /can't be asked for statistics at ipc:.*ENOENT.*is it running/);
        return true;
      },
    );
  });
});
