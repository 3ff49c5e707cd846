// Container Device Interface: a resource's name is its CDI kind, and each unit is one device of it. Pure; files.ts writes the files.
import { grantOf } from '../offer/grants.ts';
import type { Resource, Unit } from '../offer/resource.ts';

/** e.g. `smartnic.io/direct=0000:03:00.2`. Each resource has its own kind, so the devices of two pools in one container never collide. */
export function cdiName(resource: Pick<Resource, 'name'>, { id }: Pick<Unit, 'id'>): string {
  return `${resource.name}=${id}`;
}

/**
 * The spec file of a resource, e.g. for /var/run/cdi/smartnic.io_direct.json, as JSON text (CDI specification 0.5.0).
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
  return `${JSON.stringify({ cdiVersion: '0.5.0', kind: resource.name, devices }, undefined, 2)}\n`;
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
