// Loads our .proto files and sets how all our gRPC connections are made. It is not a client; each caller makes its own.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ChannelOptions, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/**
 * The services of a file in proto/, e.g. `deviceplugin.proto`. `T` is its ProtoGrpcType in proto/generated, made by
 * proto-loader-gen-types with the same options from the same file: that is what makes the cast below true.
 * Throws when the file is missing. proto/ lies at the top of the source, and beside the bundles in what ships.
 */
export function loadProto<T>(file: string): T {
  const places = ['./proto', '../../proto'].map((place) => fileURLToPath(new URL(`${place}/${file}`, import.meta.url)));
  const path = places.find((each) => existsSync(each));
  if (path === undefined) throw new Error(`${file} is missing; it belongs at ${places.join(' or ')}: install all of dist/`);
  return loadPackageDefinition(loadSync(path, { keepCase: true, longs: Number, defaults: true })) as unknown as T;
}

/** The target that grpc-js understands for a unix socket: a bare path would be looked up as a host name. */
export function unixTarget(path: string): string {
  return `unix:${path}`;
}

/** For clients of kubelet. It may be restarting, so a lost connection is tried again within a second and not after gRPC's two minutes. */
export const clientOptions: ChannelOptions = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // A busy node's PodResources list passes grpc's default of 4 MiB.
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  // Each client gets its own connection. grpc-js would share one among clients of the same target, even one that is still backing off.
  'grpc.use_local_subchannel_pool': 1,
};
