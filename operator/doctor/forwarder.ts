// Can `virtio-forwarder` ports be relayed?

import { within } from '../../host/base/within.ts';
import { socketDirectory } from '../../host/forwarder/forwarder.ts';
import { openBackEnd } from '../../host/forwarder/open.ts';
import { lettersWords, type TestpmdSettings } from '../../host/forwarder/settings.ts';
import { mountOptions } from '../../host/kernel/mounts.ts';
import { existsOnHost, listDirectory, onHost, readInteger, readText } from '../../host/kernel/sysfs.ts';
import { about, type Examination, type Finding, type Patient } from './finding.ts';

export const examineForwarder: Examination = async (patient) => {
  const { host, settings } = patient;
  const { forwarder } = settings;
  if (forwarder === undefined) return [about('forwarder').ok('none is configured: this node serves no `virtio-forwarder` ports')];
  const { ok, fail } = about(`forwarder ${forwarder.kind}`);
  await using backEnd = openBackEnd(forwarder, host.ovsdb(settings.ovsdb));
  const problem = await within(5000, backEnd.health(), () => 'it has not answered within 5 s');
  return [
    problem === undefined ? ok('is well') : fail(problem, remedies[forwarder.kind]),
    // The supervisor checks its own mount, and its log reports problems.
    ...(forwarder.kind === 'testpmd' ? [] : [examineSockets(patient)]),
    ...(forwarder.kind === 'xvio' ? examineAddresses(patient) : []),
    ...(forwarder.kind === 'testpmd' && forwarder.hugepages ? [examineHugepages(patient, forwarder)] : []),
  ];
};

const remedies = {
  xvio: 'start virtio-forwarder; `portControl` and `stats` must be its endpoints',
  testpmd: 'start smartnic-forwarder with this configuration; its log says why a relay is down',
  'ovs-dpdk': 'start ovs-vswitchd of openvswitch-switch-dpdk with other_config:dpdk-init=true',
} as const;

/** A container could put a symbolic link in its socket's place. The forwarder would follow it to where the container itself can't go. */
function examineSockets({ host }: Patient): Finding {
  const { ok, warn } = about('sockets');
  const options = mountOptions(readText(onHost(host, '/proc/self/mountinfo')) ?? '', socketDirectory);
  if (options?.includes('nosymfollow')) return ok(`symbolic links in ${socketDirectory} lead nowhere`);
  return warn(
    `symbolic links in ${socketDirectory} are followed: a container could lead the forwarder to another one's socket`,
    'mount a tmpfs there with the option nosymfollow: docs/security.md',
  );
}

/** This daemon's DPDK finds no device whose address has letters, and no answer of the daemon tells which DPDK it has. */
function examineAddresses({ host }: Patient): readonly Finding[] {
  const devices = onHost(host, '/sys/bus/pci/devices');
  const lettered = listDirectory(devices).filter((name) => /[a-f]/.test(name) && existsOnHost(`${devices}/${name}/physfn`));
  if (lettered.length === 0) return [];
  const some = lettered.length > 3 ? `${lettered.slice(0, 3).join(', ')} and ${lettered.length - 3} more` : lettered.join(', ');
  return [about('addresses').warn(`VFs with letters in their addresses (${some}) may not be relayed`, lettersWords)];
}

function examineHugepages({ host }: Patient, { memory }: TestpmdSettings): Finding {
  const { ok, warn, fail } = about('hugepages');
  const folder = onHost(host, '/sys/kernel/mm/hugepages');
  const sizes = listDirectory(folder).map((name) => {
    const pages = (file: string) => readInteger(`${folder}/${name}/${file}`) ?? 0;
    const size = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0) / 1024;
    return { all: pages('nr_hugepages') * size, free: pages('free_hugepages') * size };
  });
  const [all, free] = [sizes.reduce((sum, one) => sum + one.all, 0), sizes.reduce((sum, one) => sum + one.free, 0)];
  const how = "hugepages=N on the kernel's command line, or sysctl vm.nr_hugepages=N; then restart kubelet";
  if (all === 0) return fail('there are none, and relays are told to use them', `${how}; or "hugepages: false", which is slower`);
  if (free < memory) return warn(`${free} of ${all} MiB are free, a further relay takes ${memory}`, how);
  return ok(`${free} of ${all} MiB are free, a relay takes ${memory}`);
}
