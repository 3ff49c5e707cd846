// `npm ci` accepts the lock file on every machine that we serve.
import { deepEqual, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Package {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly integrity?: string;
  readonly license?: string;
  readonly cpu?: unknown;
  readonly os?: unknown;
  readonly optional?: boolean;
}
const lock: { readonly packages: Readonly<Record<string, Package>> } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../package-lock.json'), 'utf8'),
);

describe('the packages', () => {
  it('that are of one machine are optional: npm refuses the others on a second one', () => {
    const bound = Object.entries(lock.packages).filter(([, { cpu, os }]) => cpu !== undefined || os !== undefined);
    ok(bound.length > 0);
    deepEqual(
      bound.filter(([, { optional }]) => optional !== true).map(([name]) => name),
      [],
    );
  });

  it('have what runs for x86-64 and for arm64', () => {
    for (const name of ['node-linux-', '@koromix/koffi-linux-', '@esbuild/linux-'])
      for (const cpu of ['x64', 'arm64']) ok(lock.packages[`node_modules/${name}${cpu}`], `${name}${cpu}`);
  });

  it('that ship on Linux, for x86-64 and arm64, have a checksum and a licence', () => {
    const fits = (list: unknown, wanted: readonly string[]) => !Array.isArray(list) || wanted.some((each) => list.includes(each));
    const shipped = Object.entries(lock.packages).filter(
      ([name, { dev, devOptional, os, cpu }]) =>
        name !== '' && !dev && !devOptional && fits(os, ['linux']) && fits(cpu, ['x64', 'arm64']),
    );
    ok(shipped.length > 50);
    deepEqual(
      shipped.filter(([, { integrity, license }]) => !integrity?.startsWith('sha512-') || !license).map(([name]) => name),
      [],
    );
  });
});
