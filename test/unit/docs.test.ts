// That the documentation is true where a machine can tell: links lead somewhere, and errors are quoted as the code says them.
import { deepEqual, ok } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const top = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(top, file), 'utf8');
const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(top, 'docs')).map((name) => `docs/${name}`)];

/** Of a heading, as forges make it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (file: string) => [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));

describe('the documentation', () => {
  for (const page of pages)
    it(`${page}: links lead somewhere`, () => {
      const links = [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
      for (const [, path = '', anchor] of links) {
        const target = path === '' ? page : join(dirname(page), path);
        ok(existsSync(join(top, target)), `${page}: there is no ${target}`);
        if (anchor !== undefined) ok(anchorsOf(target).includes(anchor), `${page}: ${target} has no heading #${anchor}`);
      }
    });

  it('is all reachable from README.md', () => {
    const linked = new Set(['README.md', 'CONTRIBUTING.md']);
    for (const page of linked)
      for (const [, path = ''] of read(page).matchAll(/\]\((?!https?:)([^)#\s]+\.md)/g)) linked.add(join(dirname(page), path));
    deepEqual(
      pages.filter((page) => !linked.has(page)),
      [],
    );
  });

  it('quotes errors in the tables of docs/troubleshooting.md as the code says them', () => {
    const source = ['cni', 'device-plugin', 'host', 'vnic'].map(sourceOf).join('\n');
    /** Not our words: kubelet's, the scheduler's, the runtime's. */
    const foreign =
      /^(FailedScheduling|UnexpectedAdmissionError|no healthy devices present|failed to find plugin|hostPath type|ErrImage|CrashLoop|Readiness|Liveness)/;
    const rows = [...read('docs/troubleshooting.md').matchAll(/^\| (`.*?) \|/gm)].map(([, cell = '']) => cell);
    const quotes = rows.flatMap((cell) => [...cell.matchAll(/`([^`]*)`/g)].map(([, quote = '']) => quote));
    const ours = quotes.filter((quote) => !foreign.test(quote) && !/^(kubectl|ErrImage)/.test(quote));
    ok(ours.length > 10);
    const missing = ours.flatMap((quote) => quote.split('…').map((part) => part.trim())).filter((part) => !source.includes(part));
    deepEqual(missing, []);
  });
});

/** Texts as they come out: escapes undone, what is put in taken for a gap. */
function sourceOf(folder: string): string {
  const files = readdirSync(join(top, folder), { recursive: true, encoding: 'utf8' }).filter((name) => /\.(ts|c)$/.test(name));
  return files
    .map((name) => read(join(folder, name)))
    .join('\n')
    .replaceAll('\\"', '"');
}
