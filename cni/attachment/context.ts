// What every command works with: the machine, the pods, the journal, the node's settings, and whether somebody still wants the result.
import type { Lock } from '../../host/base/lock.ts';
import { unlessAborted } from '../../host/base/within.ts';
import type { Host } from '../../host/host.ts';
import type { Pods } from '../../host/kube/pods.ts';
import type { removePorts } from '../../host/ovs/bridge.ts';
import type { Attachment } from './attachment.ts';
import type { Journal } from './journal.ts';
import type { Settings } from './settings.ts';

/**
 * @returns why no DEL will come for the attachment, in words. Undefined when it may live. `others`: all attachments.
 * @throws Unavailable when the API server or kubelet does not answer.
 */
export type LookForLoss = (attachment: Attachment, others: readonly Attachment[]) => Promise<string | undefined>;

export interface FindLoss extends LookForLoss {
  /** Gives the same answer, but does not remember this look. For callers that change nothing. */
  readonly peek: LookForLoss;
}

export interface Context {
  readonly host: Host;
  readonly pods: Pods;
  readonly journal: Journal;
  readonly settings: Settings;
  readonly bootId: string;
  /** The keys come from lockKey in attachment.ts. */
  readonly lock: Lock;
  /** Absent where nothing is remembered from one look to the next. */
  readonly findLoss?: FindLoss;
  /** How ports are removed. Absent: by a transaction for each call. */
  readonly removePorts?: typeof removePorts;
  /** Aborted when nobody wants the work any more. Absent for work that goes on to its end. */
  readonly signal?: AbortSignal;
}

/** For work whose caller may give up. Then programs that run for it are killed, and nobody waits for answers. */
export function abandonable(context: Context, signal: AbortSignal): Context {
  const { host, pods } = context;
  return {
    ...context,
    signal,
    host: {
      ...host,
      run: async (file, args, options) => {
        const both = options?.signal === undefined ? signal : AbortSignal.any([options.signal, signal]);
        return await host.run(file, args, { ...options, signal: both });
      },
    },
    pods: { ...pods, annotations: async (pod) => await unlessAborted(signal, pods.annotations(pod)) },
  };
}
