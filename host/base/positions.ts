// Reads YAML (and so JSON) as a value, and remembers the line of each part.
import { isMap, isPair, isScalar, LineCounter, type Node, parseDocument, type YAMLError } from 'yaml';
import type { z } from 'zod';
import { ConfigError } from './config-error.ts';
import { messageOf } from './errors.ts';
import { explain } from './explain.ts';

export interface Positions {
  value(): unknown;
  /** The line of the value at that path, or of the nearest value around it. */
  line(path: readonly PropertyKey[]): number;
  /** `pools.yaml:12` */
  at(line: number): string;
  /** `pools.yaml:12: pools.0.numaPolicy: "always" is not one of …` @param keysAt - the keys that are allowed in the map at that path. */
  explain(issue: z.core.$ZodIssue, input: unknown, keysAt: KeysAt): string;
}

export type KeysAt = (path: readonly PropertyKey[]) => readonly string[];

/** @throws ConfigError when the text is not YAML. */
export function openPositions(file: string, text: string): Positions {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, version: '1.2' });
  const at = (line: number) => `${file}:${line}`;
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map((error) => `${at(counter.linePos(error.pos[0]).line)}: ${wordsOf(error)}`));
  }
  const lineOf = (node: Node | undefined) => (node?.range ? counter.linePos(node.range[0]).line : 1);

  function find(path: readonly PropertyKey[]): Node | undefined {
    for (let length = path.length; length > 0; length -= 1) {
      const found: unknown = document.getIn(path.slice(0, length), true);
      if (isNode(found)) return found;
    }
    return document.contents ?? undefined;
  }

  function keyLine(path: readonly PropertyKey[], key: string): number {
    const map = path.length === 0 ? document.contents : document.getIn(path, true);
    const pair = isMap(map)
      ? map.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === key)
      : undefined;
    return lineOf(isNode(pair?.key) ? pair.key : find(path));
  }

  return {
    value: () => {
      try {
        return document.toJS() ?? {};
      } catch (error) {
        throw new ConfigError([`${at(1)}: ${messageOf(error)}; write the values out instead of using aliases`]);
      }
    },
    at,
    line: (path) => lineOf(find(path)),
    explain: (issue, input, keysAt) => {
      const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
      const line = unknown === undefined ? lineOf(find(issue.path)) : keyLine(issue.path, unknown);
      const words = explain({ issues: [issue] }, input);
      if (unknown !== undefined) return `${at(line)}: ${words}; the keys here are ${keysAt(issue.path).join(', ')}`;
      return `${at(line)}: ${words}${words.endsWith('is missing') ? '; add it' : ''}`;
    },
  };
}

/** The library's own words name its functions. */
function wordsOf({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; the file must be one YAML document';
  if (code === 'DUPLICATE_KEY') return `${message}; take one of the two out`;
  return `${message}; the file must be one YAML document`;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'range' in value;
}
