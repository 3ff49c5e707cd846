// A new vnic type is one file and its lines in the table. test/machine/made-up-type.test.ts shows how it is plugged.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { chooseVnicType } from '../../../network/annotation.ts';
import { FakeKubelet } from '../../support/fake-kubelet.ts';
import { type Copy, copyWithType, pools, resource, type } from '../../support/made-up-type.ts';

describe('a made-up vnic type', function () {
  this.timeout(60_000);
  const undo = new DisposableStack();
  let copy: Copy;

  before(() => {
    copy = undo.use(copyWithType());
  });
  after(() => undo.dispose());

  it('needs no other change for the compiler, which asks for its offer', async () => {
    assert.equal(await copy.compile(), '');
    using half = copyWithType(['import', 'cable']);
    assert.match(await half.compile(), /vnic\/index\.ts.*Property '"made-up"' is missing in type/);
  });

  it('is offered, granted, and listed for a person', async () => {
    const root = mkdtempSync(join(tmpdir(), 'sn-made-up-root-'));
    const ending = undo.adopt(new AbortController(), (one) => one.abort());
    undo.defer(() => rmSync(root, { recursive: true, force: true }));
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/pools.yaml'), pools);
    const kubelet = new FakeKubelet({ directory: join(root, 'k') });
    undo.defer(() => kubelet.stop());
    await kubelet.start();
    copy.offer(kubelet, ending.signal);
    await kubelet.untilOffered(resource, 2, 2);
    const [given] = await kubelet.admit({ name: 'shop/web', containers: { app: { [resource]: 1 } } });
    assert.deepEqual(given?.devices, ['/dev/null:/dev/made-up:r']);
    assert.deepEqual(
      (await copy.ask(kubelet, 'vfs')).split('\n').filter((line) => line.includes(resource)),
      [`toys-0  ${resource}  allocated as ${resource} in shop/web (container app)`, `toys-1  ${resource}  free`],
    );
  });

  it("is chosen by a pod's annotation, among those that the network allows", async () => {
    const { chooseVnicType: choose }: { chooseVnicType: typeof chooseVnicType } = await import(
      `${copy.directory}/network/annotation.ts`
    );
    const asked = { ifname: 'net1', annotation: `{"net1": "${type}"}` };
    assert.equal(choose({ ...asked, config: { name: 'n', allowedVnicTypes: [type as never] } }), type);
    assert.throws(() => choose({ ...asked, config: { name: 'n', allowedVnicTypes: ['normal'] } }), /does not allow "made-up"/);
  });
});
