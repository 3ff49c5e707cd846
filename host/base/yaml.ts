// A YAML file of ours as a value. Where lines matter for more than syntax: inventory/config/positions.ts.
import { type Document, LineCounter, parseDocument } from 'yaml';
import { messageOf } from './errors.ts';

/** Null for an empty document. @throws Error of one line: file, line where there is one, and what is wrong. */
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
