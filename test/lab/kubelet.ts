// The fake kubelet in the guest, as seen from here: it admits pods, asking the real device plugin there for devices, and answers
// PodResources to the real CNI server.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import type { PodSpec } from '../support/fake-kubelet.ts';
import type { Lab } from './lab.ts';

export interface KubeletOrder {
  readonly what: 'admit' | 'remove' | 'offered';
  readonly pod: PodSpec;
}

/** What a pod was given: one entry per container and resource. */
export interface Given {
  readonly resource: string;
  readonly ids: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  /** `/dev/vfio/16:/dev/vfio/16:rw` */
  readonly devices: readonly string[];
}

export interface LabKubelet {
  /** `pod` is `namespace/name`; throws what the pod's status would say. */
  admit(pod: string, limits: Readonly<Record<string, number>>): Promise<readonly Given[]>;
  remove(pod: string): Promise<void>;
  /** Waits until so many of the resource can be allocated. */
  untilOffered(resource: string, count: number): Promise<void>;
}

/** Before the device plugin, as on a node. It ends with the guest. */
export async function startLabKubelet(lab: Lab): Promise<LabKubelet> {
  const folder = join(lab.share, 'kubelet');
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [join(import.meta.dirname, 'guest/kubelet.ts')],
    outfile: join(lab.share, 'kubelet.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  // The bundle looks for proto/ beside its folder.
  await lab.sh(`
    [ -e /proto ] || ln -s /smartnic/proto /proto
    mkdir -p /var/lib/kubelet
    setsid node /share/kubelet.mjs /share/kubelet </dev/null >/share/kubelet.log 2>&1 &
  `);
  await until(
    async () => (await readIfThere(join(folder, 'ready'))) !== undefined,
    async () => {
      return `the fake kubelet does not start in the guest: ${await readIfThere(join(lab.share, 'kubelet.log'))}`;
    },
  );
  let count = 0;
  const order = async (
    what: KubeletOrder['what'],
    name: string,
    limits: Readonly<Record<string, number>> = {},
  ): Promise<unknown> => {
    count += 1;
    const [file, answer] = [join(folder, String(count)), join(folder, `${count}.answer`)];
    await writeFile(`${file}.new`, JSON.stringify({ what, pod: { name, containers: { main: limits } } } satisfies KubeletOrder));
    await rename(`${file}.new`, `${file}.order`);
    await until(
      async () => (await readIfThere(answer)) !== undefined,
      async () => `the fake kubelet in the guest did not answer ${what} ${name}`,
    );
    const { value, error } = JSON.parse((await readIfThere(answer)) ?? '{}') as { value?: unknown; error?: string };
    await rm(answer);
    if (error !== undefined) throw new Error(error);
    return value;
  };
  return {
    admit: async (pod, limits) => (await order('admit', pod, limits)) as readonly Given[],
    remove: async (pod) => {
      await order('remove', pod);
    },
    untilOffered: async (resource, wanted) => {
      let there: unknown;
      await until(
        async () => {
          there = await order('offered', 'any/pod', { [resource]: 1 });
          return there === wanted;
        },
        async () => `${wanted} of ${resource} should be allocatable, but there are ${there}`,
      );
    },
  };
}

async function until(holds: () => Promise<boolean>, problem: () => Promise<string>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await holds()); await sleep(50)) {
    if (performance.now() > end) throw new Error(await problem());
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}
