// Something that all tests of a file share, such as a node. It is made before the first test, and disposed after the last.
import { skipWithoutOvs } from './ovs.ts';

/** `made` is disposed after what was put on `undo`. */
export type Given<T> = (made: T, undo: AsyncDisposableStack) => unknown;

/** Call it in a `describe`. `given` is called once. The tests are skipped, with the reason, where one of `skips` says so; without Open vSwitch if none is named. */
export function forAllTests<T extends AsyncDisposable>(
  start: () => Promise<T>,
  given: Given<T>,
  skips: readonly ((this: Mocha.Context) => void)[] = [skipWithoutOvs],
): void {
  const undo = new AsyncDisposableStack();
  before(async function () {
    for (const skip of skips) skip.call(this);
    await given(undo.use(await start()), undo);
  });
  after(async () => await undo.disposeAsync());
}
