// The fake kubelet's telephone to one plugin socket. Deadlines and the authority header are the real kubelet's.
import { type Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { loadProto } from '../../../host/kube/proto.ts';
import type { ProtoGrpcType as DevicePluginProto } from '../../../proto/generated/deviceplugin.ts';
import type { PluginInfo__Output } from '../../../proto/generated/pluginregistration/PluginInfo.ts';
import type { RegistrationStatus } from '../../../proto/generated/pluginregistration/RegistrationStatus.ts';
import type { ProtoGrpcType as RegistrationProto } from '../../../proto/generated/pluginregistration.ts';
import type { AllocateResponse__Output } from '../../../proto/generated/v1beta1/AllocateResponse.ts';
import type { DevicePluginOptions__Output } from '../../../proto/generated/v1beta1/DevicePluginOptions.ts';
import type { ListAndWatchResponse__Output } from '../../../proto/generated/v1beta1/ListAndWatchResponse.ts';
import type { PreferredAllocationResponse__Output } from '../../../proto/generated/v1beta1/PreferredAllocationResponse.ts';

const { v1beta1 } = loadProto<DevicePluginProto>('deviceplugin.proto');
const { pluginregistration } = loadProto<RegistrationProto>('pluginregistration.proto');

export interface PluginClient {
  readonly socket: string;
  /** Hung up by us. */
  readonly closed: boolean;
  options(): Promise<DevicePluginOptions__Output>;
  /** Calls `list` for each message and `ended` once, when the stream is over. */
  listAndWatch(list: (message: ListAndWatchResponse__Output) => void, ended: () => void): void;
  preferred(
    available: readonly string[],
    mustInclude: readonly string[],
    size: number,
  ): Promise<PreferredAllocationResponse__Output>;
  allocate(containers: readonly (readonly string[])[]): Promise<AllocateResponse__Output>;
  close(): void;
}

/** Waits for the plugin as kubelet does: up to `timeout` milliseconds. Rejects when nobody answers. */
export async function dialPlugin(socket: string, timeout: number): Promise<PluginClient> {
  const client = new v1beta1.DevicePlugin(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
  });
  try {
    await ready(client, timeout);
  } catch (cause) {
    client.close();
    throw new Error(`failed to dial device plugin ${socket}: context deadline exceeded`, { cause });
  }
  const calls = new Set<{ cancel(): void }>();
  let closed = false;
  return {
    socket,
    get closed() {
      return closed;
    },
    options: () => answer((done) => client.GetDevicePluginOptions({}, { deadline: Date.now() + 10_000 }, done)),
    listAndWatch(list, ended) {
      const call = client.ListAndWatch({});
      calls.add(call);
      call.on('data', list);
      // The error, if any, is that the plugin went away: close comes as well.
      call.on('error', () => {});
      call.on('close', ended);
    },
    preferred: (available, mustInclude, allocation_size) =>
      answer((done) =>
        client.GetPreferredAllocation(
          {
            container_requests: [
              { available_deviceIDs: [...available], must_include_deviceIDs: [...mustInclude], allocation_size },
            ],
          },
          done,
        ),
      ),
    // No deadline: a slow Allocate is waited for.
    allocate: (containers) =>
      answer((done) => client.Allocate({ container_requests: containers.map((ids) => ({ devices_ids: [...ids] })) }, done)),
    close() {
      closed = true;
      // grpc-js would let open streams go on.
      for (const call of calls) call.cancel();
      client.close();
    },
  };
}

/** Asks a socket in plugins_registry who it is: one second, and an authority that is the escaped path. */
export function getInfo(socket: string): Promise<PluginInfo__Output> {
  return withRegistration(socket, (client) => answer((done) => client.GetInfo({}, { deadline: Date.now() + 1000 }, done)));
}

export async function notify(socket: string, status: RegistrationStatus): Promise<void> {
  await withRegistration(socket, (client) =>
    answer((done) => client.NotifyRegistrationStatus(status, { deadline: Date.now() + 5000 }, done)),
  );
}

type RegistrationClient = InstanceType<typeof pluginregistration.Registration>;

async function withRegistration<T>(socket: string, question: (client: RegistrationClient) => Promise<T>): Promise<T> {
  const client = new pluginregistration.Registration(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.default_authority': encodeURIComponent(socket),
    'grpc.use_local_subchannel_pool': 1,
  });
  try {
    return await question(client);
  } finally {
    client.close();
  }
}

function ready(client: Client, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + timeout, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

function answer<T>(start: (done: (error: ServiceError | null, value?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)));
  });
}
