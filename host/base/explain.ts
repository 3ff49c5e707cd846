// Turns zod's findings into sentences that name the key, the value and what is allowed. Everything that reads text from outside uses it.
import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** The known keys of each object, by the object's path; `''` is the top. An error about an unknown key lists them. */
type Known = Readonly<Record<string, readonly string[]>>;

/** One sentence per finding, joined by `; `. */
export function explain(
  error: Pick<z.core.$ZodError, 'issues'>,
  input: unknown,
  { known = {}, note = () => undefined }: Partial<Offers> = {},
): string {
  return error.issues.map((issue) => explainIssue(issue, input, { known, note })).join('; ');
}

interface Offers {
  readonly known: Known;
  /** What to do about an unknown key of the top, where that is known. */
  readonly note: (key: string) => string | undefined;
}

function explainIssue(issue: Issue, input: unknown, offers: Offers): string {
  if (issue.code === 'unrecognized_keys') return explainUnknown(issue.keys, issue.path, offers);
  // A union's own text is only "Invalid input", unless its schema has a better one. The branch that got furthest says more.
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    const [best] = [...issue.errors].sort((a, b) => a.length - b.length)[0] ?? [];
    if (best !== undefined) return explainIssue({ ...best, path: [...issue.path, ...best.path] }, input, offers);
  }
  if (issue.code === 'invalid_key')
    return `${keyOf(issue.path.slice(0, -1))}: has a key that is not allowed: ${show(issue.path.at(-1))}`;
  const value = valueAt(input, issue.path);
  const key = keyOf(issue.path);
  if (value === undefined) {
    // For a discriminator, zod lists the allowed words.
    const words = 'options' in issue && Array.isArray(issue.options) ? `; it is one of ${issue.options.join(', ')}` : '';
    return `${key}: is missing${words}`;
  }
  // The text of another parser may begin with the value already.
  return issue.message.startsWith(show(value)) ? `${key}: ${issue.message}` : `${key}: ${show(value)} ${expectation(issue)}`;
}

function explainUnknown(keys: readonly string[], path: readonly PropertyKey[], { known, note }: Offers): string {
  const where = path.length === 0 ? '' : ` in ${keyOf(path)}`;
  const there = known[path.map(String).join('.')];
  const offer = there === undefined ? '' : `; known keys: ${there.join(', ')}`;
  const noted = (key: string) => (path.length === 0 ? note(key) : undefined);
  const words = keys.map((key) => `"${key}"${noted(key) === undefined ? '' : ` (${noted(key)})`}`);
  return `unknown key ${words.join(', ')}${where}${offer}`;
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `is not ${article(issue.expected)}`;
    case 'too_small':
      if (issue.minimum === 1 && issue.origin !== 'number' && issue.origin !== 'int') return 'is empty';
      return issue.inclusive === false ? `is not above ${String(issue.minimum)}` : `is below the least, ${String(issue.minimum)}`;
    case 'too_big':
      if (issue.origin === 'array') return `has more than ${String(issue.maximum)} entries`;
      if (issue.origin === 'string') return `is longer than ${String(issue.maximum)} characters`;
      return `is above the greatest, ${String(issue.maximum)}`;
    case 'invalid_value':
      return `is not one of ${issue.values.map((value) => String(value)).join(', ')}`;
    default:
      return issue.message;
  }
}

function article(expected: string): string {
  const word = expected === 'int' ? 'whole number' : expected === 'record' ? 'object' : expected;
  return /^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`;
}

function keyOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the document' : path.map(String).join('.');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    input,
  );
}

/** A value as JSON, cut off where it would make its sentence unreadable. */
export function show(value: unknown): string {
  const text = stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

/** JSON.parse reads more levels than JSON.stringify can write. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return 'a value nested too deep to be shown';
  }
}
