// One measured figure, and how many become one.

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** e.g. `<= 110`; absent: only told. */
  readonly goal?: string;
  readonly met?: boolean;
}

/** A figure with an upper limit. */
export function atMost(limit: number, figure: Pick<Figure, 'name' | 'value' | 'unit'>): Figure {
  return { ...figure, goal: `<= ${limit}`, met: figure.value <= limit };
}

/** From milliseconds. */
export function seconds(limit: number, name: string, ms: number): Figure {
  return atMost(limit, { name, value: rounded(ms / 1000), unit: 's' });
}

/** @param share - 0.99 for the 99th percentile. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

/** Three digits are enough for people and for comparing. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

export type Bench = (progress: (text: string) => void) => Promise<readonly Figure[]>;
