// How many devices a quantity of Kubernetes means. Pure. Extended resources are whole numbers, but `1k` and `2e0` are numbers, too.
// Source: the grammar in apimachinery's resource.Quantity.

const suffixes: Readonly<Record<string, number>> = {
  ...{ n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 },
};

/** 0 for what the API server will refuse anyway. */
export function countOf(quantity: unknown): number {
  const {
    number,
    exponent = '',
    suffix = '',
  } = /^\+?(?<number>\d+\.?\d*|\.\d+)(?:[eE](?<exponent>[+-]?\d+)|(?<suffix>[a-zA-Z]*))$/.exec(String(quantity))?.groups ?? {};
  const factor = Object.hasOwn(suffixes, suffix) ? (suffixes[suffix] ?? 0) : 0;
  // A thousandth of 1000 is 1, also where binary fractions make a little less of it.
  return Math.floor(Number(number ?? 0) * factor * 10 ** Number(exponent) + 1e-9);
}
