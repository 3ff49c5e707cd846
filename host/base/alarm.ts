// A timer for one act that several reasons ask for: it rings once, at the earliest time that any of them asked for.

export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #time = Number.POSITIVE_INFINITY;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings in so many milliseconds, unless it rings sooner anyway. */
  within(milliseconds: number): void {
    const time = performance.now() + milliseconds;
    if (time >= this.#time) return;
    this.clear();
    this.#time = time;
    this.#timer = setTimeout(() => {
      this.clear();
      this.#ring();
    }, milliseconds);
  }

  /** Forgets what was asked for. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#time = Number.POSITIVE_INFINITY;
  }
}
