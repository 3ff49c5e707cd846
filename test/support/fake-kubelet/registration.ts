// Kubelet's two ways to learn of plugins: the Registration service on device-plugins/kubelet.sock, and the watch of plugins_registry.
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Server, status } from '@grpc/grpc-js';
import { messageOf } from '../../../host/base/errors.ts';
import { loadProto } from '../../../host/kube/proto.ts';
import type { ProtoGrpcType } from '../../../proto/generated/deviceplugin.ts';
import type { RegistrationHandlers } from '../../../proto/generated/v1beta1/Registration.ts';
import { getInfo, notify } from './plugin-client.ts';
import type { Plugins } from './plugins.ts';
import { listenOn } from './servers.ts';

const { v1beta1 } = loadProto<ProtoGrpcType>('deviceplugin.proto');

/** Register dials before it answers, and streams after; every no has code 2 and kubelet's words. */
export async function serveRegistration(socket: string, plugins: Plugins): Promise<Server> {
  const handlers: RegistrationHandlers = {
    Register: async (call, reply) => {
      const { version, endpoint, resource_name } = call.request;
      try {
        if (version !== 'v1beta1') {
          throw new Error(
            `requested API version ${JSON.stringify(version)} is not supported by kubelet. Supported version is ["v1beta1"]`,
          );
        }
        const stream = await plugins.connect(resource_name, join(dirname(socket), endpoint));
        reply(null, {});
        stream();
      } catch (error) {
        reply({ code: status.UNKNOWN, details: messageOf(error) });
      }
    },
  };
  const server = new Server();
  server.addService(v1beta1.Registration.service, handlers);
  await listenOn(server, socket);
  return server;
}

/** Looks at the directory every `interval` milliseconds (kubelet: every second, and by inotify). Failures are retried with back-off. */
export class PluginWatcher {
  readonly #directory: string;
  readonly #plugins: Plugins;
  readonly #known = new Map<string, { retryAt: number; pause: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(directory: string, plugins: Plugins, interval: number) {
    this.#directory = directory;
    this.#plugins = plugins;
    this.#timer = setInterval(() => this.#look(), interval);
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const present = new Set(sockets(this.#directory));
    for (const socket of this.#known.keys()) {
      if (present.has(socket)) continue;
      this.#known.delete(socket);
      this.#plugins.disconnect(socket);
    }
    for (const socket of present) {
      const known = this.#known.get(socket) ?? { retryAt: 0, pause: 250 };
      if (known.retryAt > performance.now()) continue;
      this.#known.set(socket, { retryAt: Number.POSITIVE_INFINITY, pause: known.pause });
      void this.#register(socket).then((worked) => {
        if (!worked && this.#known.has(socket)) {
          this.#known.set(socket, { retryAt: performance.now() + known.pause, pause: known.pause * 2 });
        }
      });
    }
  }

  async #register(socket: string): Promise<boolean> {
    try {
      const info = await getInfo(socket);
      if (info.type !== 'DevicePlugin')
        throw new Error(`no handler registered for plugin type: ${info.type} at socket ${socket}`);
      if (!info.supported_versions.includes('v1beta1')) throw new Error('device plugin: unsupported versions');
      const stream = await this.#plugins.connect(info.name, info.endpoint === '' ? socket : info.endpoint).catch((error) => {
        throw new Error(`RegisterPlugin error -- plugin registration failed with err: ${messageOf(error)}`, { cause: error });
      });
      stream();
      await notify(socket, { plugin_registered: true, error: '' });
      return true;
    } catch (error) {
      // Nobody there to be told is the other end of the same story.
      await notify(socket, { plugin_registered: false, error: messageOf(error) }).catch(() => {});
      return false;
    }
  }
}

export function sockets(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(directory, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isSocket());
}
