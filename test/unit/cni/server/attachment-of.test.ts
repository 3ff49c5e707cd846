// Which attachment may have a VF, by the journal.
import { equal, match } from 'node:assert/strict';
import type { Entry } from '../../../../cni/attachment/entry.ts';
import { attachmentOf } from '../../../../cni/server/attachment-of.ts';

const vf = '0000:41:10.0';
const entry = (id: string, phase: Entry['phase']) =>
  ({ attachment: { reserved: { id }, ifname: 'net1', containerId: 'c1' }, phase }) as Entry;
const journal = (entries: readonly Entry[], problems: readonly string[] = []) => ({
  list: () => entries,
  problems: () => problems,
});

describe('the attachment of a VF', () => {
  it('is the one that has it, and none whose ADD is under way', () => {
    equal(attachmentOf(journal([entry(vf, 'added')]), vf), 'net1 of container c1 has that VF');
    equal(attachmentOf(journal([entry(vf, 'deleting')]), vf), 'net1 of container c1 has that VF');
    equal(attachmentOf(journal([entry(vf, 'adding'), entry('0000:41:10.2', 'added')]), vf), undefined);
    equal(attachmentOf(journal([]), vf), undefined);
  });

  it('may be in an entry that nobody understands', () => {
    match(attachmentOf(journal([], ["a.jsonl can't be read"]), vf) ?? '', /may be the one of which a\.jsonl can't be read/);
  });
});
