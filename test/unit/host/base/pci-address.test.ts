import { deepEqual, equal, throws } from 'node:assert/strict';
import { findPciParts, isPciAddress, parsePciAddress } from '../../../../host/base/pci-address.ts';

describe('a PCI address', () => {
  it('is what sysfs has, long domains too', () => {
    for (const text of ['0000:3b:02.6', 'ffff:ff:1f.7', '10000:01:00.0', '12345678:00:00.0'])
      equal(isPciAddress(text), true, text);
    for (const text of ['3b:02.6', '0000:3B:02.6', '0000:3b:20.0', '0000:3b:02.8', '0000:3b:02', '../0000:3b:02.6', 'ens1f0', ''])
      equal(isPciAddress(text), false, text);
  });

  it('is read as people write it', () => {
    equal(parsePciAddress('3B:02.6'), '0000:3b:02.6');
    equal(parsePciAddress('0001:3B:02.6'), '0001:3b:02.6');
    equal(parsePciAddress('00000000:3b:02.6'), '0000:3b:02.6');
    equal(parsePciAddress('0010000:3b:02.6'), '10000:3b:02.6');
    for (const text of ['0000:3b:02', 'b:02.6', '0000:3b:02.6 '])
      throws(() => parsePciAddress(text), /^Error: is not a PCI address; write it as lspci -D does: 0000:3b:02\.6$/);
  });

  it('has four numbers', () => {
    deepEqual(findPciParts('10000:3b:1f.6'), { domain: 0x10000, bus: 0x3b, slot: 0x1f, function: 6 });
    equal(findPciParts('ens1f0'), undefined);
  });
});
