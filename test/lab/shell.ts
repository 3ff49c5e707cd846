// Text as one word of a shell.

/** @example quote("it's") gives 'it'\''s' */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
