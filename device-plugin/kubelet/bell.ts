// Waits for a condition that several parties can bring about. Whoever changes something rings, and whoever waits looks again.

export interface Bell {
  ring(): void;
  /** Resolves with true as soon as `holds()` is true after a ring, or with false after `milliseconds`. */
  until(holds: () => boolean, milliseconds: number): Promise<boolean>;
}

export function makeBell(): Bell {
  const waiting = new Set<() => void>();
  function next(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, milliseconds);
      function done(): void {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      }
      waiting.add(done);
    });
  }
  return {
    ring() {
      for (const done of [...waiting]) done();
    },
    async until(holds, milliseconds) {
      const end = performance.now() + milliseconds;
      for (;;) {
        if (holds()) return true;
        const left = end - performance.now();
        if (left <= 0) return false;
        await next(Math.min(left, 2 ** 31 - 1));
      }
    },
  };
}
