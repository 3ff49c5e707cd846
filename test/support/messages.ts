// The sentences that the code says to people, as far as each stands in one piece in the source.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { read, top } from './pages.ts';

/** The source with each sentence in one piece on one line: esbuild joins what is put together with `+`. */
export function sourceOf(file: string): string {
  if (file.endsWith('.c'))
    return read(file)
      .replace(/"\s*\n\s*"/g, '')
      .replaceAll('\\"', '"');
  return transformSync(read(file), { loader: 'ts', minifySyntax: true }).code.replaceAll('\\"', '"');
}

export function sourcesBelow(folder: string): readonly string[] {
  const names = readdirSync(join(top, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /\.(ts|c)$/.test(name)).map((name) => join(folder, name));
}

/** The texts that the file throws or refuses with; what is put in at run time is a gap, `…`. */
export function errorsOf(file: string): readonly string[] {
  return [...sourceOf(file).matchAll(thrown)].map(([, , text = '']) => text.slice(1, -1).replace(hole, '…'));
}

const inner = String.raw`\$\{(?:[^{}\x60]|\x60[^\x60]*\x60|\{[^{}]*\})*\}`;
const hole = new RegExp(inner, 'g');
const literal = String.raw`"(?:[^"\\]|\\.|"(?=[^,;)\n]))*"|\x60(?:${inner}|[^\x60\\])*\x60`;
/** An error's text is its first argument, or the second behind a code; `refuse` is this project's word for a function that makes one. */
const thrown = new RegExp(String.raw`(new (?:Error|Unavailable|CniError|Refusal)|\brefuse)\(\s*(?:[\w.]+,\s*)?(${literal})`, 'g');

/** @param quote - as in a guide: `…` stands for what differs from case to case. */
export function isSaidIn(source: string, quote: string): boolean {
  const parts = quote.split('…').map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(parts.join('[^\\n]*')).test(source);
}
