// Container Device Interface: a resource's name is its CDI kind, and each unit is one device of it. Pure; files.ts writes the files.
import { createHash } from 'node:crypto';
import { longestOwnName } from '../../host/files/own-files.ts';
import { grantOf } from '../offer/grants.ts';
import type { Resource, Unit } from '../offer/resource.ts';

/** e.g. `smartnic.io/direct=0000:03:00.2`. Each resource has its own kind, so the devices of two pools in one container never collide. */
export function cdiName(resource: Pick<Resource, 'name'>, { id }: Pick<Unit, 'id'>): string {
  return `${cdiKind(resource)}=${id}`;
}

/**
 * The spec file of a resource, e.g. for /var/run/cdi/smartnic.io_direct.json, as JSON text (CDI specification).
 * It must be on disk before Allocate names its devices, because a runtime refuses a container with a device that it can't resolve.
 * It leaves out units for which nothing can be granted.
 */
export function cdiSpec(resource: Resource): string {
  const devices = resource.units.flatMap((unit) => {
    try {
      return [{ name: unit.id, containerEdits: edits(resource, unit) }];
    } catch {
      // Allocate refuses such a unit with the reason.
      return [];
    }
  });
  const kind = cdiKind(resource);
  // A runtime refuses a kind whose second part has a dot in a specification before 0.6.0. Older runtimes don't know 0.6.0, so it is only said then.
  const cdiVersion = kind.split('/')[1]?.includes('.') ? '0.6.0' : '0.5.0';
  return `${JSON.stringify({ cdiVersion, kind, devices }, undefined, 2)}\n`;
}

/** A name that fits a file's, also for the longest resource that kubelet takes. */
export function cdiFile({ name }: Pick<Resource, 'name'>): string {
  const speaking = `${name.replaceAll('/', '_')}.json`;
  return Buffer.byteLength(speaking) <= longestOwnName ? speaking : `smartnic-${hashOf(name)}.json`;
}

/**
 * The resource's name, as far as CDI takes it: both parts of a kind begin with a letter. To kubelet they may begin with a digit, e.g. `10g.example.com/10G`.
 * Then a hash of the name comes first, so that no other resource has the same kind.
 */
function cdiKind({ name }: Pick<Resource, 'name'>): string {
  const part = (text: string) => (/^[A-Za-z]/.test(text) ? text : `r${hashOf(name)}-${text}`);
  return name.split('/').map(part).join('/');
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function edits(resource: Resource, unit: Unit): Readonly<Record<string, unknown>> {
  const { devices, mounts } = grantOf(resource, unit);
  return {
    deviceNodes: devices.map(({ containerPath, hostPath, permissions }) => ({ path: containerPath, hostPath, permissions })),
    mounts: mounts.map(({ containerPath, hostPath, readOnly }) => ({
      containerPath,
      hostPath,
      options: ['rbind', readOnly ? 'ro' : 'rw'],
    })),
  };
}
