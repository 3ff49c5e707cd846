// Skips what needs root for other users, and prints the reason.

/** `needsRoot.call(this, 'to give a file away')`, first in a test. */
export function needsRoot(this: Mocha.Context, what: string): void {
  if (process.getuid?.() === 0) return;
  console.log(`      skipped: needs root ${what}`);
  this.skip();
}
