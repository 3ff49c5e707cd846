// Can pods have IPv6 addresses here?
import { ipv6Here } from '../../host/kernel/sysctl.ts';
import { about, type Examination } from './finding.ts';

const { ok, warn, fail } = about('IPv6');

export const examineIpv6: Examination = async ({ host }) => {
  switch (ipv6Here(host)) {
    case 'ready':
      return [ok('can be switched on in pods')];
    case 'none':
      return [
        warn(
          'the kernel has none: networks that give IPv6 addresses fail',
          'start it without ipv6.disable=1; or give no IPv6 addresses',
        ),
      ];
    case 'locked':
      return [
        fail(
          '/proc/sys is mounted read-only here: an ADD with an IPv6 address fails in a pod where IPv6 is off',
          "mount the node's /proc/sys/net at /mnt/proc/sys/net, to be written, as deploy/base does",
        ),
      ];
  }
};
