// Every duration on kubelet's side of the device plugin, in milliseconds. Tests shorten them; the defaults are for a real kubelet.

export interface Timing {
  /** How long kubelet may be silent about a socket before it is offered anew. Its plugin watcher looks every second. */
  readonly patience: number;
  /** Kubelet dials the plugin for up to 10 s inside Register. */
  readonly register: number;
  /** The slow look behind inotify. */
  readonly tick: number;
  /** How long a kubelet that closed its stream may take to open another. A kubelet that takes longer finds a new socket. */
  readonly settle: number;
  /** Pause after a failed attempt, doubled each time up to the longest. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** Between the last, empty list of a withdrawn resource and the end of its socket. */
  readonly farewell: number;
  /** Between two questions to PodResources. */
  readonly reconcile: number;
  /** How long kubelet may take to name what an Allocate gave out. */
  readonly naming: number;
  /** For which a vf that came back is kept from the names that it was not held under. */
  readonly grace: number;
  /** Between two times that kubelet is made to write its checkpoint anew, because only the checkpoint names a vf. */
  readonly doubt: number;
}

export const timing: Timing = {
  patience: 20_000,
  register: 15_000,
  tick: 5000,
  settle: 250,
  firstPause: 100,
  longestPause: 30_000,
  farewell: 1000,
  reconcile: 10_000,
  naming: 5000,
  grace: 30_000,
  doubt: 60_000,
};
