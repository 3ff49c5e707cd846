// Draws what `npm run bench -- --json FILE normal` measured as docs/images/cost-over-ports.svg: `node test/bench/plot.ts FILE`.
// One panel for ADD and one for DEL; the cost of one interface over the number of ports that the bridge has already.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from './figure.ts';

const target = join(import.meta.dirname, '../../docs/images/cost-over-ports.svg');
const series = [
  { figures: 'normal', label: 'smartnic', of: 'ours' },
  { figures: 'bridge + host-local', label: 'bridge plugin (no Open vSwitch)', of: 'theirs' },
] as const;
const panel = { width: 400, height: 210, top: 58, gap: 70, left: 62 };

const style = `
text { fill: #1b1f24; text-anchor: middle } .left { text-anchor: start } .right { text-anchor: end } .title { font-size: 15px; font-weight: 600 }
.paper { fill: #ffffff; stroke: #8593a3 } .grid { stroke: #d5dbe2 }
path.ours { stroke: #0b62c4; stroke-width: 2.5; fill: none } circle.ours { fill: #0b62c4 }
path.theirs { stroke: #b4690e; stroke-width: 2.5; fill: none; stroke-dasharray: 6 4 } circle.theirs { fill: #b4690e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .paper { fill: #0d1117; stroke: #566270 } .grid { stroke: #2b333d }
path.ours { stroke: #6cb2ff } circle.ours { fill: #6cb2ff } path.theirs { stroke: #e3a04a } circle.theirs { fill: #e3a04a }
}
`;

interface Point {
  readonly ports: number;
  readonly ms: number;
}

const file = process.argv[2];
if (file === undefined) {
  console.error('usage: node test/bench/plot.ts FILE, which `npm run bench -- --json FILE normal` has written');
  process.exit(2);
}
const figures: readonly Figure[] = JSON.parse(readFileSync(file, 'utf8'));
writeFileSync(target, draw(figures));
console.log(target);

function draw(all: readonly Figure[]): string {
  const panels = (['ADD', 'DEL'] as const).map((command, at) =>
    drawPanel(all, command, panel.left + at * (panel.width + panel.gap)),
  );
  const width = panel.left + 2 * panel.width + panel.gap + 24;
  const height = panel.top + panel.height + 78;
  const legend = series.map(({ label, of }, at) => {
    const x = panel.left + at * 140;
    const y = height - 16;
    return `<path class="${of}" d="M${x} ${y - 5} h24"/><text class="left" x="${x + 32}" y="${y}">${label}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, Arial, sans-serif" font-size="13">`,
    '<title>What one interface costs, over the number of ports of the bridge</title>',
    `<style>${style}</style>`,
    `<rect class="paper" width="${width}" height="${height}" rx="10"/>`,
    ...panels,
    ...legend,
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel(all: readonly Figure[], command: string, left: number): string {
  const lines = series.map((each) => ({ ...each, points: pointsOf(all, each.figures, command) }));
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0) throw new Error(`there are no figures of ${command} over ports; measure "normal"`);
  const [mostPorts, top] = [Math.max(...points.map(({ ports }) => ports)), niceAbove(Math.max(...points.map(({ ms }) => ms)))];
  const bottom = panel.top + panel.height;
  const x = (ports: number) => Math.round(left + (panel.width * ports) / mostPorts);
  const y = (ms: number) => Math.round(bottom - (panel.height * ms) / top);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = y(top * part);
    return `<path class="grid" d="M${left} ${at} h${panel.width}"/><text class="right" x="${left - 8}" y="${at + 4}">${top * part}</text>`;
  });
  const marks = [...new Set(points.map(({ ports }) => ports))].map(
    (ports) => `<text x="${x(ports)}" y="${bottom + 18}">${ports}</text>`,
  );
  const drawn = lines.map(({ of, points: own }) => {
    const path = own.map(({ ports, ms }, at) => `${at === 0 ? 'M' : 'L'}${x(ports)} ${y(ms)}`).join(' ');
    return `<path class="${of}" d="${path}"/>${own.map(({ ports, ms }) => `<circle class="${of}" cx="${x(ports)}" cy="${y(ms)}" r="3.5"/>`).join('')}`;
  });
  const title = `<text class="title left" x="${left}" y="${panel.top - 20}">${command}: milliseconds, median</text>`;
  const axis = `<text x="${left + panel.width / 2}" y="${bottom + 36}">ports that the bridge has already</text>`;
  return [title, ...grid, ...marks, axis, ...drawn].join('\n');
}

function pointsOf(all: readonly Figure[], figureName: string, command: string): readonly Point[] {
  const prefix = `${figureName}: ${command} at `;
  return all
    .filter(({ name }) => name.startsWith(prefix) && name.endsWith(' ports'))
    .map(({ name, value }) => ({ ports: Number.parseInt(name.slice(prefix.length), 10), ms: value }));
}

/** The next number above that has one digit and divides well, such as 40 for 33. */
function niceAbove(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8, 10].find((times) => times * unit >= value) ?? 10) * unit;
}
