// The fake kubelet's PodResources service: List and Get with the real one's rate limit and refusals.
import { Server, status } from '@grpc/grpc-js';
import { loadProto } from '../../../host/kube/proto.ts';
import type { ProtoGrpcType } from '../../../proto/generated/podresources.ts';
import type { PodResources } from '../../../proto/generated/v1/PodResources.ts';
import type { PodResourcesListerHandlers } from '../../../proto/generated/v1/PodResourcesLister.ts';
import type { Behaviour } from './behaviour.ts';
import type { DeviceBook } from './devices.ts';
import { listenOn } from './servers.ts';

const { v1 } = loadProto<ProtoGrpcType>('podresources.proto');

/** `pods` gives `namespace/name` of every pod that kubelet knows. */
export async function servePodResources(
  socket: string,
  book: DeviceBook,
  behaviour: Behaviour,
  pods: () => Iterable<string>,
): Promise<Server> {
  const admit = rateLimit(behaviour);
  const tooMany = { code: status.RESOURCE_EXHAUSTED, details: 'rejected by rate limit' };
  const known = (): readonly PodResources[] => [...pods()].map((pod) => podResources(pod, book));
  const handlers: PodResourcesListerHandlers = {
    List: (_call, reply) => {
      if (behaviour.podResources !== undefined) return reply({ code: status.INTERNAL, details: behaviour.podResources });
      return admit() ? reply(null, { pod_resources: [...known()] }) : reply(tooMany);
    },
    Get: (call, reply) => {
      const { pod_name, pod_namespace } = call.request;
      if (!admit()) return reply(tooMany);
      if (!behaviour.podResourcesGet) return reply({ code: status.UNKNOWN, details: 'PodResources API Get method disabled' });
      const pod = known().find((one) => one.name === pod_name && one.namespace === pod_namespace);
      if (pod !== undefined) return reply(null, { pod_resources: pod });
      return reply({ code: status.UNKNOWN, details: `pod ${pod_name} in namespace ${pod_namespace} not found` });
    },
    GetAllocatableResources: (_call, reply) => {
      const devices = [...book.lists.keys()].map((resource) => ({
        resource_name: resource,
        device_ids: [...book.healthy(resource)],
      }));
      reply(null, { devices });
    },
  };
  const server = new Server();
  server.addService(v1.PodResourcesLister.service, handlers);
  await listenOn(server, socket);
  return server;
}

function podResources(pod: string, book: DeviceBook): PodResources {
  const [namespace = '', name = ''] = pod.split('/');
  const byContainer = Map.groupBy(
    book.given.filter((given) => given.pod === pod && !given.init),
    (given) => given.container,
  );
  const containers = [...byContainer].map(([container, given]) => ({
    name: container,
    // Kubelet's sets have no order.
    devices: given.map((one) => ({ resource_name: one.resource, device_ids: one.ids.toReversed() })),
  }));
  return { namespace, name, containers };
}

/** A bucket of `burst` calls that fills again with `rate` calls a second. */
function rateLimit(behaviour: Behaviour): () => boolean {
  let tokens = behaviour.burst;
  let last = performance.now();
  return () => {
    const now = performance.now();
    tokens = Math.min(behaviour.burst, tokens + ((now - last) / 1000) * behaviour.rate);
    last = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
