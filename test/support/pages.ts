// Reads the documentation for tests: its pages, the blocks of code in them, and the rows of its tables.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const top = join(import.meta.dirname, '../..');
export const read = (file: string) => readFileSync(join(top, file), 'utf8');

export const pages: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(top, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export interface Block {
  /** As it stands behind the fence: `yaml`, `json`, `sh`. */
  readonly language: string;
  readonly text: string;
  /** For messages: page and line. */
  readonly at: string;
}

export function blocksOf(page: string): readonly Block[] {
  const text = read(page);
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(({ 1: language = '', 2: block = '', index }) => {
    return { language, text: block, at: `${page}:${text.slice(0, index).split('\n').length}` };
  });
}

/** The part of a page below a heading, up to the next one of the same level or above. */
export function sectionOf(page: string, heading: string): string {
  const text = read(page);
  const from = text.indexOf(`\n${heading}\n`) + 1;
  if (from === 0) throw new Error(`${page} has no heading "${heading}"`);
  const level = heading.split(' ')[0]?.length ?? 1;
  const body = text.slice(from + heading.length);
  const end = body.search(new RegExp(`^#{1,${level}} `, 'm'));
  return end < 0 ? body : body.slice(0, end);
}

/** Cells of all tables in a text, without their heads. */
export function rowsOf(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  const heads = new Set(lines.flatMap((line, at) => (/^\|[-| ]+\|$/.test(line) ? [at, at - 1] : [])));
  return lines
    .filter((_, at) => !heads.has(at))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}

/** What stands in backticks. */
export function codeIn(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}
