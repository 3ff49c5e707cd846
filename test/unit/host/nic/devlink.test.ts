import { deepEqual, equal, rejects } from 'node:assert/strict';
import { findFeatures } from '../../../../host/netlink/ethtool.ts';
import { attribute, nested, text, u16, u32 } from '../../../../host/netlink/wire/codec.ts';
import { findFamily } from '../../../../host/netlink/wire/generic.ts';
import type { Session } from '../../../../host/netlink/wire/session.ts';
import { findEswitchMode, listPorts, listPortsOf } from '../../../../host/nic/devlink.ts';
import { fakeKernel } from '../../../support/fake-generic-netlink.ts';

async function family(session: Session, name: string) {
  const found = await findFamily(session, name);
  if (found === undefined) throw new Error(`the test's kernel has no ${name}`);
  return found;
}

/** One port as devlink lists it (Documentation/netlink/specs/devlink.yaml). */
function port(parts: readonly Buffer[], { bus = 'pci', netdev = 'eth9' } = {}): Buffer {
  return Buffer.concat([text(1, bus), text(2, '0000:3b:00.0'), u32(3, 65535), text(7, netdev), ...parts]);
}

const parent = '0000:3b:00.0';

describe('devlink', () => {
  const shapes: Readonly<Record<string, readonly [readonly Buffer[], object]>> = {
    'a physical port': [[u16(77, 0), u32(78, 1)], { kind: 'physical', port: 1 }],
    'a split physical port': [[u16(77, 0), u32(78, 1), u32(79, 2)], { kind: 'physical', port: 1, split: 2 }],
    'a pf': [[u16(77, 3), u16(127, 1)], { kind: 'pf', pf: 1 }],
    'a vf': [[u16(77, 4), u32(150, 0), u16(127, 1), u16(128, 5)], { kind: 'vf', pf: 1, vf: 5, controller: 0 }],
    'a vf of another controller': [
      [u16(77, 4), u32(150, 1), u16(127, 0), u16(128, 5)],
      { kind: 'vf', pf: 0, vf: 5, controller: 1 },
    ],
    'a subfunction': [[u16(77, 7), u16(127, 0), u32(164, 88)], { kind: 'sf', pf: 0, sf: 88 }],
  };
  for (const [what, [parts, name]] of Object.entries(shapes)) {
    it(`lists ${what}`, async () => {
      deepEqual(await listPorts(await family(fakeKernel([port(parts)]), 'devlink')), [
        { netdev: 'eth9', parent, name, devlink: true },
      ]);
    });
  }

  it('lists no port without a netdev, of another bus or of a flavour that stands for no vf', async () => {
    const ports = [
      port([u16(77, 5)]),
      port([u16(77, 4), u16(127, 0), u16(128, 1)], { bus: 'netdevsim' }),
      Buffer.concat([text(1, 'pci'), text(2, parent), u16(77, 4), u16(127, 0), u16(128, 1)]),
      port([]),
    ];
    deepEqual(await listPorts(await family(fakeKernel(ports), 'devlink')), []);
  });

  it('lists the ports of one PF by asking for that PF', async () => {
    const asked: Buffer[] = [];
    const kernel = fakeKernel([port([u16(77, 0), u32(78, 1)])]);
    const dump: Session['dump'] = (request) => {
      asked.push(request.body);
      return kernel.dump(request);
    };
    const session = { ...kernel, dump };
    equal((await listPortsOf(await family(session, 'devlink'), parent)).length, 1);
    deepEqual(asked[0]?.subarray(4), Buffer.concat([text(1, 'pci'), text(2, parent)]));
  });

  it('tells the eswitch mode', async () => {
    equal(await findEswitchMode(await family(fakeKernel([u16(25, 1)]), 'devlink'), parent), 'switchdev');
    equal(await findEswitchMode(await family(fakeKernel([u16(25, 0)]), 'devlink'), parent), 'legacy');
  });

  for (const [code, errno] of Object.entries({ EPERM: 1, ENODEV: 19, EOPNOTSUPP: 95 })) {
    it(`that answers ${code} tells no mode`, async () =>
      equal(await findEswitchMode(await family(fakeKernel(errno), 'devlink'), parent), undefined));
  }

  it('that fails otherwise is heard', async () => {
    const devlink = await family(fakeKernel(12), 'devlink');
    await rejects(findEswitchMode(devlink, parent), /ask for the eswitch mode of 0000:3b:00\.0: ENOMEM/);
  });

  it('may be missing from the kernel', async () => equal(await findFamily(fakeKernel([], {}), 'devlink'), undefined));
});

describe('ethtool', () => {
  const bit = (name: string) => nested(1, u32(1, 3), text(2, name));

  it('tells the active features by name', async () => {
    const active = nested(
      4,
      attribute(1, Buffer.alloc(0)),
      u32(2, 64),
      nested(3, bit('tx-vlan-hw-insert'), bit('hw-tc-offload')),
    );
    const features = await findFeatures(await family(fakeKernel([active]), 'ethtool'), 'eth0');
    deepEqual([...(features ?? [])], ['tx-vlan-hw-insert', 'hw-tc-offload']);
  });

  it('tells nothing of a netdev that is gone', async () => {
    equal(await findFeatures(await family(fakeKernel(19), 'ethtool'), 'eth0'), undefined);
  });
});
