import { deepEqual, equal } from 'node:assert/strict';
import { parseUevent } from '../../../../host/netlink/uevent.ts';

describe('a kernel event', () => {
  it('has an action, a path, a subsystem and values, also those with = in them', () => {
    const entries = [
      'remove@/devices/pci0000:40/0000:41:10.0',
      'ACTION=remove',
      'SUBSYSTEM=pci',
      'MODALIAS=a=b',
      'PCI_SLOT_NAME=0000:41:10.0',
      '',
    ];
    const event = parseUevent(Buffer.from(entries.join('\0')));
    deepEqual(
      [event?.action, event?.path, event?.subsystem, event?.values.get('MODALIAS')],
      ['remove', '/devices/pci0000:40/0000:41:10.0', 'pci', 'a=b'],
    );
  });

  it('is not what udev says, nor anything else without an action', () => {
    for (const text of ['libudev\0\xfe\xed', '', '@/devices/x', 'nonsense'])
      equal(parseUevent(Buffer.from(text, 'latin1')), undefined);
  });
});
