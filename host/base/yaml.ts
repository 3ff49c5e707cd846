// Parses one of our YAML files. inventory/config/positions.ts does it where errors need the line of each value.
import { type Document, LineCounter, parseDocument } from 'yaml';
import { messageOf } from './errors.ts';

/** Returns null for an empty document. @throws Error of one line: the file, the line if it is known, and what is wrong. */
export function parseYaml(text: string, path: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error === undefined) return resolve(document, path);
  const what = error.code === 'MULTIPLE_DOCS' ? 'a second document begins here; one is allowed' : error.message;
  throw new Error(`${path}:${lines.linePos(error.pos[0]).line}: is not YAML: ${what}`);
}

function resolve(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new Error(`${path}: is not YAML: ${messageOf(error)}`, { cause: error });
  }
}
