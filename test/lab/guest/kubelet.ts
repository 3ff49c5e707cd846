// Runs in the guest: the fake kubelet on /var/lib/kubelet, told what to do through a socket (test/lab/kubelet.ts): a connection, an order.
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { messageOf } from '../../../host/base/errors.ts';
import { FakeKubelet } from '../../support/fake-kubelet.ts';
import type { KubeletAnswer, KubeletOrder } from '../kubelet.ts';

const [socket = '/run/kubelet-orders'] = process.argv.slice(2);
/** Milliseconds for the device plugin to offer what is asked for. */
const patience = 60_000;

const kubelet = new FakeKubelet({ directory: '/var/lib/kubelet' });
await kubelet.start();
createServer({ allowHalfOpen: true }, async (connection) => {
  const answer: KubeletAnswer = await obey(JSON.parse(await text(connection))).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: messageOf(error) }),
  );
  connection.end(JSON.stringify(answer));
}).listen(socket);

async function obey({ what, pod, device = '' }: KubeletOrder): Promise<unknown> {
  const [resource = '', count = 0] = Object.entries(Object.values(pod.containers)[0] ?? {})[0] ?? [];
  switch (what) {
    case 'give':
      return kubelet.give(pod.name, resource, device);
    case 'admit':
      return await kubelet.admit(pod);
    case 'offered': {
      const offered = (): number => kubelet.allocatable(resource);
      return await kubelet
        .until(`${count} of ${resource} allocatable`, () => offered() === count, patience)
        .catch((error: unknown) => {
          throw new Error(`${messageOf(error)}; there are ${offered()}`);
        });
    }
    case 'remove':
      return kubelet.remove(pod.name);
  }
}
