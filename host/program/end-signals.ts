// SIGTERM and SIGINT. A container's first process is ended only by signals that it listens to, so ours listen from their first moment on.

const signals = ['SIGTERM', 'SIGINT'] as const;

/** From now on a signal ends this process at once, and from the call of the result on it calls `stop` instead, which ends it. */
export function listenForEnd(): (stop: (signal: string) => void) => void {
  let end: (signal: string) => void = () => process.exit(0);
  for (const signal of signals) process.once(signal, () => end(signal));
  return (stop) => {
    end = stop;
  };
}
