// Device-info files (k8snetworkplumbingwg/device-info-spec 1.1.0). The device plugin writes one for each device. For Multus we write one for
// each attachment.
import { messageOf } from '../../host/base/errors.ts';
import { isRecord } from '../../host/base/json.ts';
import { removeFile, writeText } from '../../host/files/plain.ts';
import type { Host } from '../../host/host.ts';
import { onHost, readText } from '../../host/kernel/sysfs.ts';
import { deviceInfo, typesDescribedAs } from '../../vnic/device-info.ts';
import { isOffered, type OfferedType } from '../../vnic/index.ts';
import { CniError, codes } from '../protocol/errors.ts';
import type { Attachment } from './attachment.ts';

type Machine = Pick<Host, 'root'>;

/** The types for which the device plugin can have allocated the device. Empty when no file tells. */
export function findAllocatedTypes(host: Machine, resource: string, id: string): readonly OfferedType[] {
  const path = `/var/run/k8s.cni.cncf.io/devinfo/dp/${resource.replaceAll('/', '-')}-${id}-device.json`;
  const text = readText(onHost(host, path));
  const info = text === undefined ? undefined : parse(text, path);
  return isRecord(info) ? typesDescribedAs(info['type']) : [];
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON: ${messageOf(error)}; remove it, the device plugin writes it anew`, { cause: error });
  }
}

/** Throws CniError 7 for a path outside the directory that runtimes use. */
export function checkDeviceInfoPath(path: string): string {
  if (/^(\/var)?\/run\/k8s\.cni\.cncf\.io\/devinfo\/cni\/[^/]+$/.test(path) && !path.endsWith('/..')) return path;
  throw new CniError(
    codes.invalidConfig,
    `runtimeConfig.CNIDeviceInfoFile: "${path}" is not in /var/run/k8s.cni.cncf.io/devinfo/cni`,
  );
}

/** Describes what is reserved, if the runtime wants to know, in the same way as the device plugin does. Throws when the file can't be written. */
export function writeDeviceInfo(host: Machine, attachment: Attachment): void {
  const { deviceInfo: path, vnicType, reserved } = attachment;
  if (path === undefined || reserved === undefined || !isOffered(vnicType)) return;
  try {
    writeText(onHost(host, path), JSON.stringify(deviceInfo(vnicType, reserved)));
  } catch (error) {
    throw new Error(`write the device information ${path}: ${messageOf(error)}`, { cause: error });
  }
}

export function removeDeviceInfo(host: Machine, path: string): void {
  removeFile(onHost(host, path));
}
