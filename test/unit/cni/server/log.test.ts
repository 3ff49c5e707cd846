// What the CNI server logs about a request, which is enough to find a pod in the log.
import { deepEqual } from 'node:assert/strict';
import { pino } from 'pino';
import type { Context } from '../../../../cni/attachment/context.ts';
import { answer } from '../../../../cni/cni.ts';

describe("the CNI server's log", () => {
  const logged = async (args: string) => {
    const lines: string[] = [];
    const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
    // Refused before anything else of it is looked at.
    const context = { host: { log } } as unknown as Context;
    const env = {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: '/run/netns/x',
      CNI_IFNAME: 'net1',
      CNI_PATH: '/b',
      CNI_ARGS: args,
    };
    const { signal } = new AbortController();
    await answer(context, { env, stdin: '{ "cniVersion": "1.0.0", "name": "n", "type": "smartnic", "brigde": "b" }' }, signal);
    return lines
      .map((line) => JSON.parse(line))
      .map(({ msg, command, pod, containerId, ifname, code }) => ({ msg, command, pod, containerId, ifname, code }));
  };
  const request = { msg: 'failed', command: 'ADD', containerId: 'c1', ifname: 'net1', code: 2 };

  it('names the pod of a request that failed', async () => {
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u';
    deepEqual(await logged(args), [{ ...request, pod: 'shop/web-0' }]);
  });

  it('names none where the runtime does not', async () => {
    deepEqual(await logged(''), [{ ...request, pod: undefined }]);
    deepEqual(await logged('K8S_POD_NAME'), [{ ...request, pod: undefined, code: 4 }]);
  });
});
