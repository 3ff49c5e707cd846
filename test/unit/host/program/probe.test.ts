// The answers to kubelet's probes: smartnic-probe as it ships, and the socket that it asks.
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog } from '../../../../host/base/log.ts';
import { keepServing, serveProbes, verdict } from '../../../../host/program/http.ts';
import { run } from '../../../../tools/program.ts';
import { freePort } from '../../../support/free-port.ts';

const program = join(import.meta.dirname, '../../../../dist/smartnic-probe');

describe('a probe', () => {
  let dir: string;
  let socket: string;
  const servers: { close(): void }[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sn-probe-'));
    socket = join(dir, 'cni.sock');
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    rmSync(dir, { recursive: true });
  });

  async function serve(problems: readonly string[], path = socket): Promise<Server> {
    const server = await serveProbes(path, { '/readyz': () => verdict(problems) });
    servers.push(server);
    return server;
  }
  async function probe(path = socket, page = '/readyz'): Promise<string> {
    const { exitCode, stdout, stderr } = await run(program, [path, page], { reject: false });
    return `${exitCode} ${stdout}${stderr}`;
  }

  it('ends well when the server is well, and else says what the page says', async () => {
    const well = await serve([]);
    equal(await probe(), '0 ok');
    equal(await probe(socket, '/nothing'), '1 there is nothing here but /readyz');
    well.close();
    await serve(['kubelet has not come yet', 'OVSDB is away']);
    equal(await probe(), '1 kubelet has not come yet\nOVSDB is away');
  });

  it('says that nobody is there, that the server is stuck, and how it is called', async () => {
    match(await probe(), /^1 smartnic-probe: the server is not there at .*cni\.sock: No such file or directory$/);
    const stuck = createServer(() => {}).listen(socket);
    servers.push(stuck);
    match(await probe(), /^1 smartnic-probe: the server is stuck at .*cni\.sock: no answer in time$/);
    match(await probe(`/${'x'.repeat(107)}`), /^2 usage: /);
  });

  it('finds a server that was killed and has come back', async () => {
    await run(
      process.execPath,
      ['-e', `require('net').createServer().listen('${socket}', () => process.kill(process.pid, 'SIGKILL'))`],
      {
        reject: false,
      },
    );
    match(await probe(), /^1 .*Connection refused$/);
    await serve([]);
    equal(await probe(), '0 ok');
    await rejects(serve([], join(dir, 'none/x.sock')), /cannot serve probes on .*; SMARTNIC_PROBE_SOCKET names it, in a folder/);
  });

  it('asks the new server while the old one has the port of both', async () => {
    const log = openLog('silent');
    const address = { hostname: '127.0.0.1', port: await freePort() };
    const [old, next] = [new AbortController(), new AbortController()];
    const broken = { '/readyz': () => verdict(['it is not registered with kubelet']) };
    const onThePort = async () => (await fetch(`http://127.0.0.1:${address.port}/readyz`)).status;
    await keepServing(address, { '/readyz': () => verdict([]) }, { signal: old.signal, log });
    void keepServing(address, broken, { signal: next.signal, log });
    try {
      servers.push(await serveProbes(socket, broken));
      deepEqual([await onThePort(), await probe()], [200, '1 it is not registered with kubelet']);
    } finally {
      old.abort();
      next.abort();
    }
  });
});
