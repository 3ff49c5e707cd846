// Tables as text for a person.

import { printable } from './printable.ts';

/** Columns as wide as their widest cell; the last one is not padded. A cell is one line. */
export function align(cells: readonly (readonly string[])[]): readonly string[] {
  const rows = cells.map((row) => row.map((cell) => printable(cell).replaceAll('\n', '\\n')));
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
  );
}
