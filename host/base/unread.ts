// Reading on where something can't be read: what failed is noted, with the thing that it concerns, and the rest goes on.
import { messageOf } from './errors.ts';

/** What could not be read, in words. */
export interface Unread {
  /** PCI address of the one function that can't be judged without it; absent: what depends on it is judged by what else is known. */
  readonly address?: string;
  readonly words: string;
}

export type Report = (unread: Unread) => void;

/** What `read` gives, or undefined where it fails; that is reported. */
export function readOr<T>(report: Report, about: Pick<Unread, 'address'>, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    report({ ...about, words: messageOf(error) });
    return undefined;
  }
}

/** Asks questions whose last answer, by key, stands in for a new one that can't be had; undefined: there was none yet. */
export function keepLast<T>(): (key: string, report: (words: string) => void, ask: () => Promise<T>) => Promise<T | undefined> {
  const last = new Map<string, T>();
  return async (key, report, ask) => {
    try {
      const answer = await ask();
      last.set(key, answer);
      return answer;
    } catch (error) {
      report(messageOf(error));
      return last.get(key);
    }
  };
}
