// Device-info files (k8snetworkplumbingwg/device-info-spec 1.1.0): what the device plugin wrote of a device, and what Multus wants to be
// told of an attachment's.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { isRecord } from '../../host/base/json.ts';
import type { Host } from '../../host/host.ts';
import { onHost, readText } from '../../host/kernel/sysfs.ts';
import type { VnicType } from '../../vnic/types.ts';
import { socketPlace } from '../../vnic/virtio-forwarder.ts';
import { CniError, codes } from '../protocol/errors.ts';
import type { Attachment } from './attachment.ts';

type Machine = Pick<Host, 'root'>;

const types: Readonly<Record<string, VnicType>> = { pci: 'direct', 'vhost-user': 'virtio-forwarder' };

/** What the device plugin allocated it for; undefined where no file says so. */
export function findAllocatedType(host: Machine, resource: string, id: string): VnicType | undefined {
  const path = `/var/run/k8s.cni.cncf.io/devinfo/dp/${resource.replaceAll('/', '-')}-${id}-device.json`;
  const text = readText(onHost(host, path));
  const info = text === undefined ? undefined : parse(text, path);
  return isRecord(info) ? types[String(info['type'])] : undefined;
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON: ${messageOf(error)}; remove it, the device plugin writes it anew`, { cause: error });
  }
}

/** Throws CniError 7 for a path outside of the directory that runtimes use. */
export function checkDeviceInfoPath(path: string): string {
  if (/^(\/var)?\/run\/k8s\.cni\.cncf\.io\/devinfo\/cni\/[^/]+$/.test(path) && !path.endsWith('/..')) return path;
  throw new CniError(
    codes.invalidConfig,
    `runtimeConfig.CNIDeviceInfoFile: "${path}" is not in /var/run/k8s.cni.cncf.io/devinfo/cni`,
  );
}

/** Of what is reserved, if the runtime wants to be told. Throws when it can't be written. */
export function writeDeviceInfo(host: Machine, attachment: Attachment): void {
  const { deviceInfo: path } = attachment;
  const info = deviceInfo(attachment);
  if (path === undefined || info === undefined) return;
  try {
    mkdirSync(dirname(onHost(host, path)), { recursive: true });
    writeFileSync(onHost(host, path), JSON.stringify(info));
  } catch (error) {
    throw new Error(`write the device information ${path}: ${messageOf(error)}`, { cause: error });
  }
}

export function removeDeviceInfo(host: Machine, path: string): void {
  rmSync(onHost(host, path), { force: true });
}

/** As the device plugin wrote it of the same vf: the path is the container's, which makes the socket. */
function deviceInfo({ vnicType, reserved }: Attachment): object | undefined {
  const version = '1.1.0';
  if (vnicType === 'virtio-forwarder' && reserved !== undefined)
    return { type: 'vhost-user', version, 'vhost-user': { mode: 'server', path: socketPlace(reserved.id).containerPath } };
  if (reserved?.kind !== 'vf') return undefined;
  const { id: address, pf, representor } = reserved;
  const port = representor === undefined ? {} : { 'representor-device': representor };
  return { type: 'pci', version, pci: { 'pci-address': address, 'pf-pci-address': pf, ...port } };
}
