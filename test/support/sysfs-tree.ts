// Builds a machine's /sys in a temporary directory from a compact description, and changes it as the kernel would while a test runs.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Host } from '../../host/host.ts';
import type { AskKernel, KernelFacts } from '../../host/nic/nics.ts';

export interface TreePort {
  readonly netdev: string;
  /** `phys_port_name` */
  readonly portName: string;
}

export interface TreeVf {
  readonly address: string;
  readonly index: number;
  /** Bound to no driver when absent. */
  readonly driver?: string;
  /** Vendor and device, `8086:1520`. */
  readonly ids: string;
  readonly netdev?: string;
  /** The device below the function that has the netdev, e.g. `virtio7`. Absent: the function has it itself. */
  readonly below?: string;
  /** Its netdev is in another namespace: the folder `net` is there and empty. */
  readonly netdevElsewhere?: boolean;
  readonly numa?: number;
  readonly iommuGroup?: number;
  readonly vfioDevice?: string;
  readonly representor?: TreePort;
}

export interface TreePf {
  readonly address: string;
  readonly driver?: string;
  readonly ids: string;
  readonly netdev?: string;
  readonly numa?: number;
  readonly iommuGroup?: number;
  readonly totalVfs?: number;
  readonly switchId?: string;
  /** Its uplink's `phys_port_name`. */
  readonly portName?: string;
  /** Further netdevs on its switch that are no VF's representor. */
  readonly ports?: readonly TreePort[];
  readonly vfs?: readonly TreeVf[];
}

/** A machine made of files. Disposing removes it. */
export interface Tree extends Disposable {
  readonly root: string;
  readonly host: Pick<Host, 'root' | 'log' | 'step'>;
  addPf(pf: TreePf): void;
  removePf(pf: TreePf): void;
  addVf(pf: TreePf, vf: TreeVf): void;
  removeVf(pf: TreePf, vf: TreeVf): void;
  /** Rewrites what is bound; undefined: nothing. */
  bind(vf: TreeVf, driver: string | undefined): void;
  /** Any further file, below the root; its folders are made. */
  write(path: string, text: string): void;
  link(path: string, target: string): void;
  remove(path: string): void;
}

export function makeTree(...pfs: readonly TreePf[]): Tree {
  const root = mkdtempSync(join(tmpdir(), 'smartnic-tree-'));
  const inside = (path: string) => join(root, path);
  const write = (path: string, text: string) => {
    mkdirSync(join(inside(path), '..'), { recursive: true });
    writeFileSync(inside(path), `${text}\n`);
  };
  const link = (path: string, target: string) => {
    mkdirSync(join(inside(path), '..'), { recursive: true });
    rmSync(inside(path), { force: true });
    symlinkSync(target, inside(path));
  };
  const remove = (path: string) => rmSync(inside(path), { recursive: true, force: true });
  const device = (address: string) => `/sys/bus/pci/devices/${address}`;

  function writeUevent(address: string, ids: string, driver: string | undefined): void {
    write(
      `${device(address)}/uevent`,
      `${driver === undefined ? '' : `DRIVER=${driver}\n`}PCI_CLASS=20000\nPCI_ID=${ids.toUpperCase()}`,
    );
  }

  function writeFunction(one: TreePf | TreeVf): void {
    const folder = device(one.address);
    writeUevent(one.address, one.ids, one.driver);
    write(`${folder}/class`, '0x020000');
    write(`${folder}/numa_node`, String(one.numa ?? -1));
    if (one.iommuGroup !== undefined) link(`${folder}/iommu_group`, `../../../../kernel/iommu_groups/${one.iommuGroup}`);
  }

  function writeNetdev(
    address: string,
    netdev: string,
    port?: { readonly switchId: string; readonly portName: string },
    below?: string,
  ): void {
    const owner = below === undefined ? address : `${address}/${below}`;
    mkdirSync(inside(`${device(owner)}/net/${netdev}`), { recursive: true });
    write(`/sys/class/net/${netdev}/type`, '1');
    link(`/sys/class/net/${netdev}/device`, `../../../bus/pci/devices/${owner}`);
    if (port === undefined) return;
    write(`/sys/class/net/${netdev}/phys_switch_id`, port.switchId);
    write(`/sys/class/net/${netdev}/phys_port_name`, port.portName);
  }

  function removeNetdev(address: string, netdev: string): void {
    remove(`${device(address)}/net/${netdev}`);
    remove(`/sys/class/net/${netdev}`);
  }

  function addVf(pf: TreePf, vf: TreeVf): void {
    writeFunction(vf);
    if (vf.netdev !== undefined) writeNetdev(vf.address, vf.netdev, undefined, vf.below);
    if (vf.netdevElsewhere) mkdirSync(inside(`${device(vf.address)}/${vf.below ?? '.'}/net`), { recursive: true });
    if (vf.vfioDevice !== undefined) mkdirSync(inside(`${device(vf.address)}/vfio-dev/${vf.vfioDevice}`), { recursive: true });
    if (vf.representor !== undefined)
      writeNetdev(pf.address, vf.representor.netdev, { switchId: pf.switchId ?? '', portName: vf.representor.portName });
    link(`${device(pf.address)}/virtfn${vf.index}`, `../${vf.address}`);
    link(`${device(vf.address)}/physfn`, `../${pf.address}`);
  }

  function removeVf(pf: TreePf, vf: TreeVf): void {
    unlinkSync(inside(`${device(pf.address)}/virtfn${vf.index}`));
    if (vf.netdev !== undefined) removeNetdev(vf.address, vf.netdev);
    if (vf.representor !== undefined) removeNetdev(pf.address, vf.representor.netdev);
    remove(device(vf.address));
  }

  function addPf(pf: TreePf): void {
    writeFunction(pf);
    write(`${device(pf.address)}/sriov_totalvfs`, String(pf.totalVfs ?? 64));
    write(`${device(pf.address)}/sriov_numvfs`, String(pf.vfs?.length ?? 0));
    const { switchId, portName } = pf;
    const port = switchId !== undefined && portName !== undefined ? { switchId, portName } : undefined;
    if (pf.netdev !== undefined) writeNetdev(pf.address, pf.netdev, port);
    for (const { netdev, portName: name } of pf.ports ?? [])
      writeNetdev(pf.address, netdev, { switchId: switchId ?? '', portName: name });
    for (const vf of pf.vfs ?? []) addVf(pf, vf);
  }

  function removePf(pf: TreePf): void {
    for (const vf of pf.vfs ?? []) removeVf(pf, vf);
    for (const netdev of [pf.netdev, ...(pf.ports ?? []).map((port) => port.netdev)])
      if (netdev !== undefined) removeNetdev(pf.address, netdev);
    remove(device(pf.address));
  }

  for (const pf of pfs) addPf(pf);
  return {
    root,
    host: { root, log: pino({ level: 'silent' }), step: () => {} },
    addPf,
    removePf,
    addVf,
    removeVf,
    bind: (vf, driver) => writeUevent(vf.address, vf.ids, driver),
    write,
    link,
    remove,
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A kernel that has nothing to say. */
export const noFacts: KernelFacts = {
  eswitchModes: new Map(),
  ports: [],
  hwTcOffload: new Map(),
  addresses: new Map(),
  routes: new Map(),
  readers: new Map(),
  vfioHolders: new Map(),
  unread: [],
};

/** A kernel that says this, whatever it is asked about. */
export function answering(facts: Partial<KernelFacts> = {}): AskKernel {
  return async () => ({ ...noFacts, ...facts });
}
