// The guides quote errors exactly as the code prints them, and every error that a pod can get is in a guide.
import { deepEqual, ok } from 'node:assert/strict';
import { errorsOf, isSaidIn, sourceOf, sourcesBelow } from '../../support/messages.ts';
import { codeIn, read, rowsOf, sectionOf } from '../../support/pages.ts';

const source = ['cni', 'device-plugin', 'host', 'inventory', 'network', 'supervisor', 'vnic']
  .flatMap(sourcesBelow)
  .map(sourceOf)
  .join('\n');

/** Quotes by guide: what stands in backticks in the first column of its tables. */
const quoted = {
  'docs/troubleshooting.md': quotesOf(read('docs/troubleshooting.md')),
  'docs/sriov-guide.md': quotesOf(sectionOf('docs/sriov-guide.md', '## 8. Troubleshooting by error text')),
  'docs/virtio-forwarder.md': quotesOf(sectionOf('docs/virtio-forwarder.md', '## 7. Troubleshooting by error text')),
};

/** Not our words: kubelet's, the scheduler's, the runtime's, the kernel's; and commands. */
const foreign =
  /^(FailedScheduling|TopologyAffinityError|network-attachment-definitions|UnexpectedAdmissionError|no healthy devices present|failed to find plugin|hostPath type|ErrImage|CrashLoop|Readiness|Liveness|kubectl|Permission denied|Cannot get hugepage|forwarder-down$|vfs$|doctor$)/;

function quotesOf(text: string): readonly string[] {
  return rowsOf(text).flatMap(([cell = '']) => codeIn(cell));
}

describe('the guides', () => {
  for (const [page, quotes] of Object.entries(quoted))
    it(`${page} quotes errors as the code says them`, () => {
      const ours = quotes.filter((quote) => !foreign.test(quote));
      ok(ours.length > 10);
      deepEqual(
        ours.filter((quote) => !isSaidIn(source, quote)),
        [],
      );
    });

  /** What a pod can be refused with. */
  const files = [
    ...['add', 'check', 'cni', 'status', 'protocol/ipam', 'claim/claim', 'claim/reservation'].map((name) => `cni/${name}.ts`),
    ...['device-info', 'hook-calls'].map((name) => `cni/attachment/${name}.ts`),
    ...['network/annotation.ts', 'network/device.ts'],
    ...['direct', 'vf', 'virtio-forwarder'].map((name) => `vnic/${name}.ts`),
    ...['nic/driver', 'program/errand', 'nic/vf-settings', 'nic/vf-netdev', 'program/hooks', 'base/lock'].map(
      (name) => `host/${name}.ts`,
    ),
    ...['kube/podresources', 'kube/pods', 'ovs/bridge'].map((name) => `host/${name}.ts`),
    ...['ovs-dpdk', 'testpmd', 'xvio/xvio', 'xvio/refusals', 'xvio/messages'].map((name) => `host/forwarder/${name}.ts`),
    ...['relay', 'relays'].map((name) => `supervisor/${name}.ts`),
  ];
  const all = Object.values(quoted).flat();
  for (const file of files)
    it(`know every error of ${file}`, () => {
      const errors = errorsOf(file).filter((text) => !partsOfOthers.some((part) => part.test(text)));
      deepEqual(
        errors.filter((text) => !all.some((quote) => fixed(quote) >= 8 && isSaidIn(text, quote))),
        [],
      );
    });
});

/** Characters that are the same in every case: a quote of next to nothing would fit any error. */
function fixed(quote: string): number {
  return quote.replace(/…/g, '').replace(/ {2,}/g, ' ').trim().length;
}

/** Behind or before other words, which the guides quote; and what a user can't do anything about. */
const partsOfOthers = [
  /^[… :]*$/,
  /this is a fault of smartnic$/,
  /^representor: "…": …$/,
  /^…: was allocated as …, …$/,
  /^CNI_NETNS: …$/,
  /^… \(pod … has it\)$/,
  /^it is not where it was moved to$/,
  /^…: error ……: …$/,
  /^…: … ended with (status )?…(: …)?$/,
  /^…: still under way$/,
  /^somebody else goes on with it$/,
  /^…; does a process still use it\?$/,
  /^… and still keeps process … of ours …; no other is sent until it ends$/,
  /^set … of VF … of PF …: … \(…\)$/,
  /^nothing came within … ms$|^no answer within … s$|^closed$/,
  /^it answered with status …$|^its answer has no …$/,
];
