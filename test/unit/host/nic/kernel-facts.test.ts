// When the kernel does not answer one question, everything else is still known, and so is its last answer to that question.
import { deepEqual, equal } from 'node:assert/strict';
import { parsePciAddress } from '../../../../host/base/pci-address.ts';
import type { Link } from '../../../../host/netlink/netlink.ts';
import { text, u16 } from '../../../../host/netlink/wire/codec.ts';
import { NetlinkError } from '../../../../host/netlink/wire/error.ts';
import { type KernelQuestions, openKernelQuestions, type QuestionOptions } from '../../../../host/nic/kernel-facts.ts';
import type { PciPf } from '../../../../host/nic/pci.ts';
import { type Answers, fakeKernel } from '../../../support/fake-generic-netlink.ts';
import { makeTree, type Tree } from '../../../support/sysfs-tree.ts';

const EIO = 5;
const [one, other] = ['0000:3b:00.0', '0000:41:00.0'];
const ids = { vendor: '15b3', device: '101e', driver: 'mlx5_core', netdevElsewhere: false };

function pf(address: string, ...netdevs: readonly string[]): PciPf {
  const vfs = netdevs.map((netdev, index) => ({
    ...ids,
    address: parsePciAddress(`${address.slice(0, -4)}01.${index}`),
    index,
    netdevs: [netdev],
  }));
  return { ...ids, address: parsePciAddress(address), netdevs: [], numVfs: vfs.length, totalVfs: 8, vfs };
}

const pfs = [pf(one, 'v0', 'v1'), pf(other)];

describe('a kernel that does not answer', () => {
  /** By a part of what is attempted: an errno in place of the answer. */
  let failing: ReadonlyMap<string, number>;
  let links: readonly Link[];
  let tree: Tree;
  let questions: KernelQuestions;

  function fail(attempt: string): number | undefined {
    return [...failing].find(([part]) => attempt.includes(part))?.[1];
  }

  /** A fake: two VFs' netdevs, the first with an address, the second with a route. */
  const netlink = (): ReturnType<QuestionOptions['netlink']> => {
    const answer = async <T>(attempt: string, value: T): Promise<T> => {
      const errno = fail(attempt);
      if (errno !== undefined) throw new NetlinkError(attempt, errno);
      return value;
    };
    const route = { family: 4, dst: '10.0.0.0/8', table: 254, scope: 253, onlink: false } as const;
    return {
      links: () => answer('list links', links),
      addresses: () =>
        answer('list addresses', [{ index: 7, cidr: '192.0.2.1/24', family: 4, tentative: false, duplicate: false } as const]),
      routes: ({ oif } = {}) => answer(`list routes by link ${oif}`, oif === 8 ? [route] : []),
      [Symbol.dispose]: () => {},
    };
  };

  beforeEach(() => {
    failing = new Map();
    links = ['v0', 'v1', 'v2'].map((name, at) => ({ name, index: 7 + at, up: true, mac: '', mtu: 1500 }));
    tree = makeTree();
    tree.write('/sys/class/net/rep0/type', '1');
    const answers = (attempt: string): Answers => {
      if (attempt.startsWith('ask for the eswitch mode')) return fail(attempt) ?? [u16(25, 1)];
      if (attempt.startsWith('list devlink ports'))
        return (
          fail(attempt) ?? [Buffer.concat([text(1, 'pci'), text(2, one), text(7, 'rep0'), u16(77, 4), u16(127, 0), u16(128, 1)])]
        );
      return fail(attempt) ?? [];
    };
    questions = openKernelQuestions({ root: tree.root, netlink, generic: fakeKernel(answers), devlink: fakeKernel(answers) });
  });
  afterEach(() => {
    questions[Symbol.dispose]();
    tree[Symbol.dispose]();
  });

  it('about the eswitch mode of one pf answers about the other, and the first has the mode that it had', async () => {
    failing = new Map([[`mode of ${one}`, EIO]]);
    const { eswitchModes, unread } = await questions.ask(pfs, []);
    deepEqual([...eswitchModes], [[other, 'switchdev']]);
    deepEqual(unread, [{ words: `ask for the eswitch mode of ${one}: EIO Input/output error` }]);
    failing = new Map();
    await questions.ask(pfs, []);
    failing = new Map([['mode of', EIO]]);
    equal((await questions.ask(pfs, [])).eswitchModes.size, 2);
  });

  it('which ports there are leaves those of before, if their netdevs are still there', async () => {
    equal((await questions.ask(pfs, [])).ports.length, 1);
    failing = new Map([['list devlink ports', EIO]]);
    equal((await questions.ask(pfs, [])).ports.length, 1);
    tree.remove('/sys/class/net/rep0');
    equal((await questions.ask(pfs, [])).ports.length, 0);
  });

  for (const what of ['list links', 'list addresses'])
    it(`to "${what}" leaves what was in use so, and makes a vf that it was never asked about unread`, async () => {
      const before = await questions.ask(pfs, []);
      deepEqual([[...before.addresses.keys()], [...before.routes.keys()]], [['v0'], ['v1']]);
      failing = new Map([[what, EIO]]);
      const now = await questions.ask([pf(one, 'v0', 'v1', 'v2')], []);
      deepEqual([now.addresses, now.routes], [before.addresses, before.routes]);
      deepEqual(
        now.unread.map(({ address, words }) => [address, words.split(':')[0]]),
        [
          [undefined, what],
          ['0000:3b:01.2', what],
        ],
      );
    });

  it('about the routes of one vf makes that one unread, and tells the rest', async () => {
    failing = new Map([['routes by link 9', EIO]]);
    const { routes, unread } = await questions.ask([pf(one, 'v0', 'v1', 'v2')], []);
    deepEqual([...routes], [['v1', ['10.0.0.0/8']]]);
    deepEqual(
      unread.map(({ address }) => address),
      ['0000:3b:01.2'],
    );
  });

  it('for a link that has just gone has said that it has no routes', async () => {
    failing = new Map([['routes by link 9', 19]]);
    deepEqual((await questions.ask([pf(one, 'v0', 'v1', 'v2')], [])).unread, []);
  });
});
