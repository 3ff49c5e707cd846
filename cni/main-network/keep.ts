// Keeps the runtime's file of the main network as the ConfigMap has it, where deploy/overlays/main-network says that we are the main network. A
// changed ConfigMap is taken over without a restart, if it can be read as a network of ours. Both are logged.
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import type { Logger } from '../../host/base/log.ts';
import { replaceDurably } from '../../host/files/durable.ts';
import { type FollowOptions, followFile } from '../../host/files/follow-file.ts';
import { openLastGood, problemsOf } from '../../host/files/last-good.ts';
import { findContent, writeText } from '../../host/files/plain.ts';
import { checkConflist } from './conflist.ts';
import { decide } from './decide.ts';

export interface MainNetworkOptions extends Pick<FollowOptions, 'settle' | 'tick'> {
  /** The file of the ConfigMap. */
  readonly file: string;
  /** The runtime's folder. */
  readonly folder: string;
  /** Our own directory, for what was written last. */
  readonly stateDir: string;
  readonly log: Logger;
  /** While smartnic is taken off the node, nothing is written. */
  readonly isDraining: () => boolean;
}

export interface MainNetwork {
  /** The runtime's file. */
  readonly file: string;
  /** Why the runtime does not have what the ConfigMap says. Empty when it has, and when a person changed the file on the node. */
  readonly problems: readonly string[];
  /** What a person changed on the node, in words. */
  readonly remark: string | undefined;
  close(): void;
}

/** The uninstaller knows this name, too. */
const conflistName = '10-smartnic.conflist';

/** Undefined where we are not the main network: SMARTNIC_CONFLIST names the file of the ConfigMap, SMARTNIC_CONFLIST_DIR the runtime's folder. */
export function openMainNetwork(
  env: Readonly<Record<string, string | undefined>>,
  options: Omit<MainNetworkOptions, 'file' | 'folder'>,
): MainNetwork | undefined {
  const { SMARTNIC_CONFLIST: file, SMARTNIC_CONFLIST_DIR: folder = '/etc/cni/net.d' } = env;
  return file ? keepMainNetwork({ ...options, file, folder }) : undefined;
}

/** Looks now, and whenever the ConfigMap's file has changed. */
function keepMainNetwork(options: MainNetworkOptions): MainNetwork {
  const { file, folder, stateDir, log, isDraining } = options;
  const path = join(folder, conflistName);
  const written = openLastGood(join(stateDir, 'last-good-network.json'));
  let problems: readonly string[] = [];
  let remark: string | undefined;
  let isStart = true;
  let looking = Promise.resolve();
  void look();
  const watch = followFile({ ...options, changed: () => void look() });

  function look(): Promise<void> {
    looking = looking.then(lookOnce);
    return looking;
  }

  async function lookOnce(): Promise<void> {
    if (isDraining()) return;
    try {
      const wanted = textOf(file);
      if (wanted === undefined) throw new Error(`${file}: the file is missing; does the ConfigMap have that key?`);
      checkConflist(file, wanted);
      await takeOver(wanted);
      problems = [];
      isStart = false;
    } catch (error) {
      refuse(problemsOf(error));
    }
  }

  async function takeOver(wanted: string): Promise<void> {
    const present = textOf(path);
    const decision = decide({ wanted, present, written: lastWritten() }, isStart);
    if (decision === 'leave') return tell(present);
    remark = undefined;
    if (decision === 'replace') setAside(present ?? '');
    if (decision !== 'nothing') {
      await write(wanted);
      log.info({ path, bytes: Buffer.byteLength(wanted) }, 'network configuration taken over');
    }
    if (lastWritten() !== wanted) note(wanted);
  }

  async function write(wanted: string): Promise<void> {
    try {
      await replaceDurably(path, wanted, 0o644);
    } catch (error) {
      throw new Error(`${path} can't be written: ${messageOf(error)}; is the node's folder mounted there, and writable?`, {
        cause: error,
      });
    }
  }

  function tell(present: string | undefined): void {
    const what = present === undefined ? 'removed' : 'changed';
    const words = `${path} was ${what} on this node, and is left alone until the ConfigMap changes`;
    if (remark !== words) log.warn({ path }, words);
    remark = words;
  }

  /** The node's admin may want to have it back. */
  function setAside(present: string): void {
    const copy = join(stateDir, `replaced-${conflistName}`);
    writeText(copy, present);
    log.warn({ path, copy }, 'the file had other content than we wrote, and is replaced; its copy is kept');
  }

  /** Without the note, the next change counts as one by hand. Then it is replaced all the same, and a copy is kept. */
  function note(wanted: string): void {
    try {
      written.write(file, wanted);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'what was written for the runtime is not noted');
    }
  }

  function lastWritten(): string | undefined {
    try {
      return written.read(file);
    } catch {
      return undefined; // it is written anew
    }
  }

  function refuse(why: readonly string[]): void {
    if (why.join('\n') === problems.join('\n')) return;
    problems = why;
    log.error({ file, problems }, 'network configuration refused; what the runtime has stays in force');
  }

  return {
    file: path,
    get problems() {
      return problems;
    },
    get remark() {
      return remark;
    },
    close: () => watch.close(),
  };
}

/** Undefined when there is no such file. */
function textOf(path: string): string | undefined {
  return findContent(path)?.toString();
}
