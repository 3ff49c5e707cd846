// One resource on one unix socket, as kubelet calls it: DevicePlugin v1beta1 and pluginregistration v1. It unpacks, asks the pure
// functions, and packs. endpoint.ts tells kubelet of the socket.
import { Server, type sendUnaryData, status } from '@grpc/grpc-js';
import { messageOf } from '../../host/base/errors.ts';
import type { Logger } from '../../host/base/log.ts';
import { listen } from '../../host/kube/grpc-socket.ts';
import { loadProto } from '../../host/kube/proto.ts';
import type { ProtoGrpcType as DevicePluginProto } from '../../proto/generated/deviceplugin.ts';
import type { RegistrationHandlers } from '../../proto/generated/pluginregistration/Registration.ts';
import type { ProtoGrpcType as RegistrationProto } from '../../proto/generated/pluginregistration.ts';
import type { DevicePluginHandlers } from '../../proto/generated/v1beta1/DevicePlugin.ts';
import { allocate } from '../answers/allocate.ts';
import { preferred } from '../answers/preferred.ts';
import { Refusal } from '../answers/refusal.ts';
import type { Snapshot } from '../answers/snapshot.ts';
import { packAllocation, packList } from '../answers/wire.ts';
import { makeListStreams } from './list-streams.ts';

/** What kubelet says about the registration, and a stream that opens or closes. */
export type ServiceEvent =
  | { readonly kind: 'asked' }
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'streams' };

export interface ServiceOptions {
  readonly socket: string;
  readonly resource: string;
  readonly log: Logger;
  readonly snapshot: () => Snapshot;
  /** Notes an Allocate that is about to be answered. It runs in the same turn as the look at the snapshot, so both are atomic. */
  readonly take: (ids: readonly string[]) => void;
  readonly event: (event: ServiceEvent) => void;
}

export interface Service {
  /** The number of open ListAndWatch calls. */
  readonly streams: number;
  /** Looks at the snapshot again and tells kubelet what changed. */
  publish(): void;
  /** Sends kubelet its list even if it did not change. */
  repeat(): void;
  /** Ends the streams, lets running calls finish (up to a second), and removes the socket. */
  close(): Promise<void>;
}

export const apiVersion = 'v1beta1';
export const pluginOptions = { pre_start_required: false, get_preferred_allocation_available: true };

const { v1beta1 } = loadProto<DevicePluginProto>('deviceplugin.proto');
const { pluginregistration } = loadProto<RegistrationProto>('pluginregistration.proto');

/** Listens on the socket, whose name must be new. Throws, naming the socket, when that fails. */
export async function serve(options: ServiceOptions): Promise<Service> {
  const { event, resource, snapshot } = options;
  const streams = makeListStreams(
    () => packList(snapshot(), resource),
    () => event({ kind: 'streams' }),
  );
  const plugin: DevicePluginHandlers = {
    GetDevicePluginOptions: (_call, reply) => reply(null, pluginOptions),
    ListAndWatch: (call) => streams.add(call),
    GetPreferredAllocation: (call, reply) =>
      answer(options, reply, () => ({
        container_responses: call.request.container_requests.map((one) => ({
          deviceIDs: [
            ...preferred(snapshot(), resource, {
              available: one.available_deviceIDs,
              mustInclude: one.must_include_deviceIDs,
              size: one.allocation_size,
            }),
          ],
        })),
      })),
    Allocate: (call, reply) => {
      const requests = call.request.container_requests.map((one) => one.devices_ids);
      const granted = answer(options, reply, () => {
        const allocations = allocate(snapshot(), resource, requests);
        options.take(requests.flat());
        return { container_responses: allocations.map(packAllocation) };
      });
      if (!granted) streams.repeat();
    },
    // Our options don't ask for it, so kubelet does not call it.
    PreStartContainer: (_call, reply) => reply(null, {}),
  };
  const registration: RegistrationHandlers = {
    GetInfo: (_call, reply) => {
      event({ kind: 'asked' });
      reply(null, { type: 'DevicePlugin', name: resource, endpoint: '', supported_versions: [apiVersion] });
    },
    NotifyRegistrationStatus: (call, reply) => {
      const { plugin_registered, error } = call.request;
      event(plugin_registered ? { kind: 'accepted' } : { kind: 'refused', reason: error });
      reply(null, {});
    },
  };
  const server = new Server();
  server.addService(v1beta1.DevicePlugin.service, plugin);
  server.addService(pluginregistration.Registration.service, registration);
  await listen(server, options.socket);
  return {
    get streams() {
      return streams.count;
    },
    publish: streams.publish,
    repeat: streams.repeat,
    async close() {
      streams.end();
      await shutDown(server);
    },
  };
}

/** Runs a handler. A Refusal becomes an answer with its code and text. Any other error is our fault and is logged. Returns whether it succeeded. */
function answer<T>({ log, resource }: ServiceOptions, reply: sendUnaryData<T>, handle: () => T): boolean {
  try {
    reply(null, handle());
    return true;
  } catch (error) {
    const refused = error instanceof Refusal;
    if (refused) log.warn({ resource, reason: error.message }, 'kubelet was refused');
    else log.error({ resource, err: error }, 'a call from kubelet failed');
    reply({ code: refused ? error.code : status.INTERNAL, details: messageOf(error) });
    return false;
  }
}

function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, 1000);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
