// All durations on kubelet's side of the device plugin, in milliseconds. Tests shorten them. The defaults are for a real kubelet.

export interface Timing {
  /** How long kubelet may be silent about a socket before a new one is offered. Kubelet's plugin watcher looks every second. */
  readonly patience: number;
  /** The limit for Register, during which kubelet dials the plugin for up to 10 s. */
  readonly register: number;
  /** The slow look that backs up inotify. */
  readonly tick: number;
  /** How long a kubelet that closed its stream may take to open another. A kubelet that takes longer finds a new socket. */
  readonly settle: number;
  /** The pause after a failed attempt. Each further failure doubles it, up to the longest one. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** The time between the last, empty list of a withdrawn resource and the end of its socket. */
  readonly farewell: number;
  /** The time between two questions to PodResources. */
  readonly reconcile: number;
  /** How long kubelet may take until it names what an Allocate gave out. */
  readonly naming: number;
  /** How long a VF that came back is kept from the names under which it was not held. */
  readonly grace: number;
  /** The time after which kubelet is made to write its checkpoint again, if still only the checkpoint names a VF. */
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
