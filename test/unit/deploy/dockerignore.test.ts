// The image's build gets every folder of the checkout that the Dockerfile copies. .dockerignore leaves out what it does not name.
import { deepEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const top = join(import.meta.dirname, '../../..');
const lines = (name: string) => readFileSync(join(top, name), 'utf8').split('\n');

describe('the Dockerfile', () => {
  it('copies only what .dockerignore lets through', () => {
    const through = lines('.dockerignore').filter((line) => line.startsWith('!'));
    const copied = lines('Dockerfile')
      .filter((line) => /^COPY (?!--from)/.test(line))
      .flatMap((line) => line.split(' ').slice(1, -1))
      .flatMap((path) => path.split('/')[0] ?? []);
    const kept = (path: string) =>
      path === '.' || through.some((line) => line === `!${path}` || (line === '!*.json' && path.endsWith('.json')));
    deepEqual(
      copied.filter((path) => !kept(path)),
      [],
    );
  });
});
