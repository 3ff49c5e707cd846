// How long each suite takes, and which are the long ones: those that `npm test` leaves out. A file that ends in `.long.ts` belongs to one of them.

export interface Suite {
  readonly name: string;
  /** Scripts of package.json with their arguments, one after the other. */
  readonly scripts: readonly (readonly string[])[];
  readonly env?: Readonly<Record<string, string>>;
  /** Measured on a quiet machine of two CPUs on which nothing was prepared. */
  readonly seconds: number;
}

/** Seconds of the scripts that `npm test` runs. */
const scripts: Readonly<Record<string, number>> = {
  setup: 60,
  check: 40,
  'test:unit': 100,
  'test:machine': 240,
  'build:lab': 150,
  'test:lab': 360,
  'build:cluster': 700,
  'test:cluster': 420,
};

export function scriptSuite(name: string): Suite {
  const seconds = scripts[name];
  if (seconds === undefined) throw new Error(`no suite "${name}"; there are: ${[...Object.keys(scripts), 'long'].join(', ')}`);
  return { name, scripts: [[name]], seconds };
}

export const long: readonly Suite[] = [
  file('lab/crash-kernel', 400),
  file('lab/crash-switch', 500),
  file('lab/forwarder-crash', 300),
  file('machine/endings', 2400),
  { name: 'arm64', scripts: [['test:arm64']], seconds: 360 },
  ...['1.34.4', '1.35.4', '1.37.2'].map(withKubelet),
];

function file(name: string, seconds: number): Suite {
  return { name, scripts: [['test:file', `test/${name}.long.ts`]], seconds };
}

/** The device manager of another minor version: reservations, restarts. To compile it takes six minutes of these. */
function withKubelet(version: string): Suite {
  const files = ['secondary', 'restarts'].map((name) => `test/cluster/${name}.test.ts`);
  return {
    name: `kubelet ${version}`,
    scripts: [['build:cluster'], ['test:file', ...files]],
    env: { KUBELET: version },
    seconds: 600,
  };
}
