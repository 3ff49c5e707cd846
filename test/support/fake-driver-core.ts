// A fake of the kernel's driver core on a tree of files: it watches unbind and drivers_probe, and binds as driver_override says. It is enough
// to test the order of the steps. The lab shows whether a real driver releases a real VF.
import { existsSync, mkdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tree, TreeVf } from './sysfs-tree.ts';

export interface FakeDriverCore extends Disposable {
  /** What happened, in order: `unbind igbvf 0000:41:10.0`, `reset 0000:41:10.0` (where the tree has that file), `bind vfio-pci 0000:41:10.0`. */
  readonly events: readonly string[];
  /** A driver that takes no device from now on. */
  refuse(driver: string): void;
  driver(vf: TreeVf): string | undefined;
  override(vf: TreeVf): string;
}

/** For these VFs, which are bound as the tree says; `drivers` are loaded. */
export function startFakeDriverCore(tree: Tree, vfs: readonly TreeVf[], drivers: readonly string[]): FakeDriverCore {
  const events: string[] = [];
  const refusing = new Set<string>();
  const at = (path: string) => join(tree.root, path);
  const device = (address: string) => `/sys/bus/pci/devices/${address}`;
  const bound = new Map(vfs.map((vf) => [vf.address, vf.driver]));
  const watchers: { close(): void }[] = [];

  const show = (address: string) => {
    const driver = bound.get(address);
    const vf = vfs.find((each) => each.address === address);
    if (driver === undefined) rmSync(at(`${device(address)}/driver`), { force: true });
    else tree.link(`${device(address)}/driver`, `../../drivers/${driver}`);
    if (vf !== undefined) tree.bind(vf, driver);
  };
  const listen = (path: string, work: (text: string) => void) => {
    mkdirSync(at(join(path, '..')), { recursive: true });
    writeFileSync(at(path), '');
    watchers.push(
      watch(at(path), () => {
        const text = readFileSync(at(path), 'utf8').trim();
        if (text === '') return;
        writeFileSync(at(path), '');
        work(text);
      }),
    );
  };
  const unbind = (driver: string, address: string) => {
    if (bound.get(address) !== driver) return;
    bound.set(address, undefined);
    events.push(`unbind ${driver} ${address}`);
    show(address);
  };
  const probe = (address: string) => {
    const override = readFileSync(at(`${device(address)}/driver_override`), 'utf8').trim();
    const driver = override === '' || override === '(null)' ? 'igbvf' : override;
    if (bound.get(address) !== undefined || !drivers.includes(driver) || refusing.has(driver)) return;
    bound.set(address, driver);
    events.push(`bind ${driver} ${address}`);
    show(address);
  };

  for (const driver of drivers) listen(`/sys/bus/pci/drivers/${driver}/unbind`, (address) => unbind(driver, address));
  listen('/sys/bus/pci/drivers_probe', probe);
  for (const { address } of vfs)
    if (existsSync(at(`${device(address)}/reset`)))
      listen(`${device(address)}/reset`, () => void events.push(`reset ${address}`));
  for (const { address } of vfs) {
    writeFileSync(at(`${device(address)}/driver_override`), '(null)\n');
    show(address);
  }
  return {
    events,
    refuse: (driver) => void refusing.add(driver),
    driver: ({ address }) => bound.get(address),
    override: ({ address }) =>
      existsSync(at(`${device(address)}/driver_override`))
        ? readFileSync(at(`${device(address)}/driver_override`), 'utf8').trim()
        : '',
    [Symbol.dispose]: () => {
      for (const each of watchers) each.close();
    },
  };
}
