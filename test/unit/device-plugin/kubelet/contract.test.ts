// The published suite, run on our plugin with two resources that are offered from different VFs.
import type { Resource } from '../../../../inventory/offer/resource.ts';
import { testDevicePlugin } from '../../../support/device-plugin-suite.ts';
import { startOurs } from '../../../support/our-plugin.ts';
import { someResource, someVfs, withProblems } from '../../../support/resources.ts';

const resources = [
  someResource('smartnic.io/direct', someVfs([1, 2], 4)),
  someResource('smartnic.io/virtio-forwarder', someVfs([3], 4)),
] as const;

testDevicePlugin('our device plugin', {
  resources: { 'smartnic.io/direct': 8, 'smartnic.io/virtio-forwarder': 4 },
  async start(kubeletDir) {
    let offered: readonly Resource[] = resources;
    const plugin = await startOurs(kubeletDir, offered);
    return {
      stop: plugin.stop,
      setHealth(id, healthy) {
        offered = offered.map((resource) => withProblems(resource, id, ...(healthy ? [] : ['vf-gone'])));
        plugin.offer(offered);
      },
    };
  },
});
