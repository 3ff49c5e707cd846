// Runs in the guest: the fake kubelet on /var/lib/kubelet, told what to do by files of the shared folder (test/lab/kubelet.ts).
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../host/errors.ts';
import { FakeKubelet } from '../../support/fake-kubelet.ts';
import type { KubeletOrder } from '../kubelet.ts';

const [folder = '/share/kubelet'] = process.argv.slice(2);
const kubelet = new FakeKubelet({ directory: '/var/lib/kubelet' });
await kubelet.start();
writeFileSync(join(folder, 'ready'), '');
for (;;) {
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.order'))) {
    const done = await obey(JSON.parse(readFileSync(join(folder, name), 'utf8'))).then(
      (value) => ({ value }),
      (error: unknown) => ({ error: messageOf(error) }),
    );
    const [draft, answer] = ['.draft', '.answer'].map((ending) => join(folder, name.replace('.order', ending))) as [
      string,
      string,
    ];
    renameSync(join(folder, name), draft);
    writeFileSync(draft, JSON.stringify(done));
    renameSync(draft, answer);
  }
  await sleep(20);
}

async function obey({ what, pod }: KubeletOrder): Promise<unknown> {
  switch (what) {
    case 'admit':
      return await kubelet.admit(pod);
    case 'offered':
      return kubelet.allocatable(Object.keys(Object.values(pod.containers)[0] ?? {})[0] ?? '');
    case 'remove':
      return kubelet.remove(pod.name);
  }
}
