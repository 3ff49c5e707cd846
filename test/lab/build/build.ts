// Builds what is missing of the lab, part by part, and says what it does: `node test/lab/build/build.ts`. A part is there completely
// or not at all, so a build that was stopped goes on where it was. Run through `ensureLab`, which keeps two builds apart.
import { mkdir, rename, rm } from 'node:fs/promises';
import { notPossibleHere } from '../../../tools/exit.ts';
import { cache, folderOf, missingParts, type Part } from '../cache.ts';
import { forgetPackages, PackagesUnavailable } from './apt.ts';
import { buildKernel } from './kernel.ts';
import { buildQemu } from './qemu.ts';
import { buildRoot } from './root.ts';
import '../../../tools/path.ts';

const steps = {
  qemu: { says: 'QEMU', build: buildQemu },
  root: { says: "the guest's programs (Open vSwitch, DPDK, iproute2)", build: buildRoot },
  kernel: { says: "the guest's kernel, and netdevsim compiled for it", build: buildKernel },
} as const satisfies Readonly<Record<Part, { readonly says: string; readonly build: (into: string) => Promise<string> }>>;

async function main(): Promise<void> {
  const missing = missingParts();
  for (const part of missing) await buildPart(part);
  await forgetPackages();
}

async function buildPart(part: Part): Promise<void> {
  const folder = folderOf(part);
  const partial = `${folder}.partial`;
  const began = performance.now();
  console.log(`==> lab: fetching and building ${steps[part].says}`);
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const said = await steps[part].build(partial);
    await rename(partial, folder);
    console.log(`    ${said}; ${Math.round((performance.now() - began) / 1000)} s`);
  } catch (error) {
    console.error(`the lab's part "${part}" could not be built in ${cache}: ${error instanceof Error ? error.message : error}`);
    process.exit(error instanceof PackagesUnavailable ? notPossibleHere : 1);
  }
}

await main();
