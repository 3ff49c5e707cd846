// Tells kubelet of one socket in device-plugins/. This is the older way to register. With the newer way kubelet finds the socket by itself.
import { basename } from 'node:path';
import { credentials, status } from '@grpc/grpc-js';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import { clientOptions, loadProto, unixTarget } from '../../host/kube/proto.ts';
import type { ProtoGrpcType } from '../../proto/generated/deviceplugin.ts';
import { apiVersion, pluginOptions } from './service.ts';

const { v1beta1 } = loadProto<ProtoGrpcType>('deviceplugin.proto');

/**
 * Registers the plugin that listens on `socket` with the kubelet that listens on `kubelet`, in the same directory. Kubelet dials the
 * plugin before it answers, so the plugin must be served already.
 * Throws with kubelet's words when kubelet is not there, refuses, or has not answered within `timeout` milliseconds.
 */
export async function register(socket: string, kubelet: string, resource: string, timeout: number): Promise<void> {
  if (findSocketIdentity(kubelet) === undefined) {
    throw new Error(`cannot register ${resource}: kubelet's socket ${kubelet} is not there; is kubelet running?`);
  }
  const client = new v1beta1.Registration(unixTarget(kubelet), credentials.createInsecure(), clientOptions);
  const request = { version: apiVersion, endpoint: basename(socket), resource_name: resource, options: pluginOptions };
  try {
    await new Promise<void>((resolve, reject) => {
      client.Register(request, { deadline: Date.now() + timeout }, (error) => (error === null ? resolve() : reject(error)));
    });
  } catch (cause) {
    const refused = cause instanceof Error && 'code' in cause && cause.code === status.UNKNOWN;
    const words = cause instanceof Error && 'details' in cause ? `${cause.details}` : String(cause);
    throw refused
      ? new RegistrationRefused(`kubelet refused ${resource}: ${words}`, { cause })
      : new Error(`kubelet did not register ${resource} (asked on ${kubelet}): ${words}`, { cause });
  } finally {
    client.close();
  }
}

/** Kubelet's own refusal (code 2), e.g. of the resource's name. Asking again helps only when something has changed. */
export class RegistrationRefused extends Error {
  override readonly name = 'RegistrationRefused';
}
