// Directories that are mounted into our container: when one is removed on the node and made anew, the container keeps the old one, in which
// nothing can be made and nothing appears any more. Only a new start of the container brings the new one.
import { statSync } from 'node:fs';

export function isRemoved(directory: string): boolean {
  try {
    return statSync(directory, { throwIfNoEntry: false })?.nlink === 0;
  } catch {
    return false; // whoever uses it says why
  }
}
