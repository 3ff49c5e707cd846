// Files of ours that can't be read, or that a newer version wrote. They and what they stand for are left alone, so a person has to be told.
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { findStrangeNotes } from '../../host/forwarder/relay-notes.ts';
import { findStrangePairs } from '../../host/forwarder/wanted-pairs.ts';
import type { Context } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';
import { findStrangeOwners } from '../attachment/owner.ts';

export interface NotUnderstood {
  /** Whose file it is. */
  readonly topic: 'journal' | 'owners' | 'wanted pairs' | 'relays';
  /** The file, what it says, and what is wrong with it. */
  readonly words: string;
  /** What a person does about it. */
  readonly remedy: string;
}

type Asked = Pick<Context, 'settings'> & { readonly journal: Pick<JournalView, 'problems'> };

/** Changes nothing. A directory that can't be read is one problem more. */
export async function findNotUnderstood(context: Asked): Promise<readonly NotUnderstood[]> {
  const found: NotUnderstood[] = [];
  for (const topic of Object.keys(looks) as readonly NotUnderstood['topic'][]) {
    const { find, remedy } = looks[topic];
    const all = await find(context).catch((error: unknown) => [messageOf(error)]);
    found.push(...all.map((words) => ({ topic, words, remedy })));
  }
  return found;
}

interface Look {
  readonly find: (context: Asked) => Promise<readonly string[]>;
  readonly remedy: string;
}

const looks: Readonly<Record<NotUnderstood['topic'], Look>> = {
  journal: {
    find: async ({ journal }) => journal.problems(),
    remedy: 'is the disk well? an entry of a newer version needs that version; else move the file away once its pod is gone',
  },
  owners: {
    find: async (context) => findStrangeOwners(context),
    remedy: 'nobody gets this VF or slot meanwhile: run the newer version again, or remove the file once no pod has the VF',
  },
  'wanted pairs': {
    find: async ({ settings: { stateDir, forwarder } }) =>
      forwarder === undefined || forwarder.kind === 'ovs-dpdk'
        ? []
        : (await findStrangePairs(join(stateDir, 'forwarder'))).map(
            (path) => `${path}, which says what the forwarder relays, is not understood and is left alone`,
          ),
    remedy:
      'its VF is relayed to nobody new meanwhile: run the newer version again, or remove the file once no pod has the VF, and restart the CNI server',
  },
  relays: {
    find: async ({ settings: { forwarder } }) =>
      forwarder?.kind === 'testpmd'
        ? findStrangeNotes(forwarder).map(
            (path) => `${path}, a note of a relay, is not understood; it and its relay are left alone`,
          )
        : [],
    remedy:
      'no other relay is started for this VF meanwhile: run the newer version again, or remove the file once no pod has the VF, and restart smartnic-forwarder',
  },
};
