// Parses the pools as their admin writes them. One error names everything that is wrong with the file. Pure: source.ts reads the file, and
// offer/offer.ts looks at the VFs. The older SR-IOV device plugin's config.json is understood, too (sriovdp.ts).
import { basename } from 'node:path';
import type { z } from 'zod';
import { ConfigError } from '../../host/base/config-error.ts';
import { openPositions, type Positions } from '../../host/base/positions.ts';
import { findOverlaps } from './overlap.ts';
import type { Config } from './pool.ts';
import { defaultImportPrefix } from './resource-name.ts';
import { knownKeys, poolsSchema } from './schema.ts';
import { importSriovdp, isSriovdp } from './sriovdp.ts';

/**
 * @param file - its path, for messages.
 * @param importPrefix - the prefix of resources of a config.json that names none.
 * @throws ConfigError with one line per finding: file, line, key, value, what to do.
 */
export function parseConfig(file: string, text: string, importPrefix: string = defaultImportPrefix): Config {
  const positions = openPositions(basename(file), text);
  const value = positions.value();
  const config = isSriovdp(value) ? importSriovdp(file, value, positions, importPrefix) : parsePools(file, value, positions);
  const problems = [...duplicates(config, positions), ...(config.overlap === 'error' ? findOverlaps(config, positions) : [])];
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function parsePools(file: string, value: unknown, positions: Positions): Config {
  const parsed = poolsSchema.safeParse(value);
  if (!parsed.success)
    throw new ConfigError(relevant(parsed.error.issues).map((issue) => positions.explain(issue, value, knownKeys)));
  const { resourcePrefix, pools } = parsed.data;
  return {
    file,
    pools: pools.map((pool, at) => ({
      ...pool,
      line: positions.line(['pools', at]),
      resources: pool.resources.map(({ name, vnicType }) => ({
        name: `${pool.resourcePrefix ?? resourcePrefix}/${name}`,
        vnicType,
      })),
    })),
    overlap: 'error',
    warnings: [],
  };
}

/** Removes the finding that a map is empty when its only key is unknown, which is a finding already. */
function relevant(issues: readonly z.core.$ZodIssue[]): readonly z.core.$ZodIssue[] {
  const unknown = new Set(issues.filter(({ code }) => code === 'unrecognized_keys').map(({ path }) => path.join('.')));
  return issues.filter(({ code, path }) => code !== 'custom' || !unknown.has(path.join('.')));
}

/** Finds names that occur twice. Kubelet and our logs tell pools and resources apart by their names. */
function duplicates({ pools }: Config, positions: Positions): readonly string[] {
  const names = pools.flatMap((pool) => (pool.resources.length === 0 ? [] : [{ what: 'pool', name: pool.name, pool }]));
  const resources = pools.flatMap((pool) => pool.resources.map(({ name }) => ({ what: 'resource', name, pool })));
  return [...Map.groupBy([...names, ...resources], ({ what, name }) => `${what} ${name}`)].flatMap(([name, uses]) =>
    uses.slice(1).map(({ what, pool }) => {
      const first = uses[0]?.pool.line;
      const remedy =
        what === 'pool' ? 'give one of them another name' : 'give one of them another resourceName, or make them one pool';
      return `${positions.at(pool.line)}: ${name} is defined a second time, first on line ${first}; ${remedy}`;
    }),
  );
}
