// Which pod is meant.

export interface PodName {
  readonly namespace: string;
  readonly name: string;
  /** Distinguishes a pod from an earlier one of the same name. Absent: not known. */
  readonly uid?: string | undefined;
}
