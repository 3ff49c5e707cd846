// How long each suite takes, and which are the long ones: those that `npm test` leaves out. A file that ends in `.long.ts` belongs to one of them.

export interface Suite {
  readonly name: string;
  /** Scripts of package.json with their arguments, one after the other. */
  readonly scripts: readonly (readonly string[])[];
  readonly env?: Readonly<Record<string, string>>;
  /** On a quiet machine of two CPUs on which nothing was prepared. Write here what a run's table says. */
  readonly seconds: number;
  /** Why CI does not ask for it yet: a run with a limit in time only names it, and a run without one runs it. */
  readonly unproven?: string;
}

/** Seconds of the scripts that `npm test` runs. Measured beside the builds and some other work; a quiet machine needs less. */
const scripts: Readonly<Record<string, number>> = {
  setup: 90,
  check: 30,
  'test:unit': 90,
  'test:machine': 560,
  'build:lab': 65,
  'test:lab': 720,
  'build:cluster': 550,
  'test:cluster': 420,
};

export function scriptSuite(name: string): Suite {
  const seconds = scripts[name];
  if (seconds === undefined) throw new Error(`no suite "${name}"; there are: ${[...Object.keys(scripts), 'long'].join(', ')}`);
  return { name, scripts: [[name]], seconds };
}

const unproven = 'which has not been green in one run yet; npm run test:long runs it';

/** Take `unproven` off a suite once it was green in one run, and write its seconds down. */
export const long: readonly Suite[] = [
  { ...file('lab/crash-kernel', 400), unproven },
  { ...file('lab/crash-switch', 500), unproven },
  { ...file('lab/forwarder-crash', 300), unproven },
  file('lab/noiommu', 200),
  { ...file('lab/held-vf', 150), unproven },
  { ...file('cluster/restarts', 240), unproven },
  { ...file('cluster/admission-ca', 90), unproven: 'which fails: for some seconds after a new CA the API server calls nobody' },
  file('machine/crash', 150),
  file('machine/slots-crash', 100),
  file('machine/versions', 30),
  file('lab/versions', 360),
  {
    ...files('lab/variants', ['machine', 'direct-variants', 'forwarder-variants'], 500),
    unproven: 'which fails: without udevd in the guest, VFs that are bound anew at the same time swap their names ethN',
  },
  { ...file('machine/endings', 2400), unproven },
  { name: 'arm64', scripts: [['test:arm64']], seconds: 360, unproven },
  ...['1.34.4', '1.35.4', '1.37.2'].map(withKubelet),
];

function file(name: string, seconds: number): Suite {
  return { name, scripts: [['test:file', `test/${name}.long.ts`]], seconds };
}

/** Several files of one folder, which share what is made once for a run, such as the lab's guest. */
function files(name: string, its: readonly string[], seconds: number): Suite {
  const paths = its.map((each) => `test/${name.split('/')[0]}/${each}.long.ts`);
  return { name, scripts: [['test:file', ...paths]], seconds };
}

/** The tests of reservations and restarts with the kubelet of another minor version. Compiling it takes six of these minutes. */
function withKubelet(version: string): Suite {
  const files = ['test/cluster/secondary.test.ts', 'test/cluster/restarts.long.ts'];
  return {
    name: `kubelet ${version}`,
    scripts: [['build:cluster'], ['test:file', ...files]],
    env: { KUBELET: version },
    seconds: 600,
    unproven,
  };
}
