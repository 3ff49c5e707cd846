// kill -9 of the server in an ADD, a finished and a failing one: what its successor leaves is nothing. crash.long.ts has every step.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addSteps, type CrashNode, delSteps, refusingIpam, startCrashNode, writeIpam } from '../support/crash.ts';
import { killedInAdd } from '../support/crash-suites.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { until } from '../support/until.ts';

describe('a server that is killed in an ADD', () => {
  let crash: CrashNode;
  forAllTests(startCrashNode, async (made) => {
    crash = made;
    await writeIpam(crash.node, ...refusingIpam);
  });
  afterEach(() => crash.node.server.stop());

  it('can be killed at just the steps that are tried here', async () => {
    const steps = join(crash.node.dir, 'steps');
    await crash.node.startServer({ SMARTNIC_STEP_HOOK: `record:${steps}` });
    const call = crash.call();
    assert.equal((await crash.node.cni('ADD', call)).exit, 0);
    assert.equal((await crash.node.cni('DEL', call)).exit, 0);
    const lines = (await readFile(steps, 'utf8')).trimEnd().split('\n').toSorted();
    assert.deepEqual(lines, [...addSteps, ...delSteps].toSorted());
  });

  killedInAdd(() => crash, { finished: ['port added'], undone: ['cable removed'] });

  it('after the commit keeps the attachment whose answer was lost, until the runtime deletes it', async () => {
    const call = crash.call();
    assert.equal((await crash.killedAt('committed', 'ADD', call)).json.code, 11);
    await crash.ping();
    const second = await crash.node.cni('ADD', call);
    assert.match(second.json.msg, /is attached to network tenant-a already, since .*; DEL it first/);
    await crash.ping();
    assert.equal((await crash.node.cni('DEL', call)).exit, 0);
    assert.deepEqual(await crash.left(), []);
    assert.equal((await crash.node.cni('ADD', call)).exit, 0);
    await crash.ping();
    assert.equal((await crash.node.cni('DEL', call)).exit, 0);
  });

  it('while IPAM is at work leaves nothing after the DEL, though IPAM gives an address when nobody waits for it any more', async () => {
    const [called, go] = ['called', 'go'].map((name) => join(crash.node.dir, name));
    const wait = `touch ${called}; until [ -e ${go} ]; do sleep 0.05; done`;
    const slow = `if [ "$CNI_COMMAND" = ADD ]; then ${wait}; fi\nexec /usr/lib/cni/host-local`;
    await writeIpam(crash.node, 'slow', slow);
    const call = crash.call({ cniVersion: '1.0.0' }); // Debian's host-local speaks it, so it is asked just once
    const { ipam, ...rest } = call.config as { readonly ipam: object };
    const slowly = { ...call, config: { ...rest, ipam: { ...ipam, type: 'slow' } } };
    await crash.node.startServer();
    const lost = crash.node.cni('ADD', slowly);
    await until(async () => existsSync(`${called}`), 'IPAM is called');
    await crash.node.server.stop('SIGKILL');
    await crash.node.startServer();
    assert.equal((await lost).json.code, 11);
    await until(async () => (await crash.left()).length === 0, 'the sweep has taken away what it knows of');
    await writeFile(`${go}`, '');
    await until(async () => (await crash.left()).some((each) => each.startsWith('lease ')), 'IPAM gives its address');
    assert.equal((await crash.node.cni('DEL', slowly)).exit, 0);
    assert.deepEqual(await crash.left(), []);
  });
});
