// All links in the documentation lead somewhere, and every page can be reached.
import { deepEqual, ok } from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pages, read, top } from '../../support/pages.ts';

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
});
