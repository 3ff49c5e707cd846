// Removes smartnic from a node after its last pod has left. Beside it, the CNI server serves the pods' DELs and sweeps what crashes left.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyUnanswered } from '../../host/files/unix-client.ts';
import { attachments, leftovers, remove } from './leftovers.ts';

/** Milliseconds between two looks. */
const glance = 1000;

/** Runs until a signal comes, because files may appear after a look, and they are removed, too. */
export async function uninstall(root: string, say: (text: string) => void): Promise<never> {
  let last = '';
  const sayOnce = (text: string) => {
    if (text !== last) say(text);
    last = text;
  };
  let swept = false;
  for (;;) {
    swept ||= (await whyUnanswered(join(root, 'run/smartnic/cni.sock'))) === undefined;
    sayOnce(swept ? step(root) : 'waiting for the CNI server beside us: it clears what crashes left; its log says what keeps it');
    await sleep(glance);
  }
}

/** Returns what was done, or what is waited for, in words. */
function step(root: string): string {
  const held = attachments(root);
  if (held.length > 0)
    return `waiting for ${held.length} interfaces of pods; delete or move these: ${held.slice(0, 20).join(', ')}`;
  const paths = leftovers(root);
  remove(paths);
  return paths.length === 0 ? 'nothing of smartnic is left on this node' : `removed ${paths.join(', ')}`;
}
