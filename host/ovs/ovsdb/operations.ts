// The operations of a transaction (RFC 7047, 5.2), as far as we use them, and the server's answers. Pure.
import type { Json } from './connection.ts';

export type Columns = { readonly [column: string]: Json };
type Condition = readonly [column: string, test: '==' | 'includes' | 'excludes', value: Json];

export type Operation =
  | { readonly op: 'insert'; readonly table: string; readonly row: Columns; readonly 'uuid-name': string }
  | { readonly op: 'mutate'; readonly table: string; readonly where: readonly Condition[]; readonly mutations: readonly Json[] }
  | { readonly op: 'select'; readonly table: string; readonly where: readonly Condition[]; readonly columns: readonly string[] }
  | {
      readonly op: 'wait';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly columns: readonly string[];
      readonly until: '==';
      readonly rows: readonly Columns[];
      /** 0: the condition must hold now, or the transaction fails. */
      readonly timeout: 0;
    }
  | { readonly op: 'comment'; readonly comment: string };

/** The server refused the transaction and did nothing of it. */
export class TransactionError extends Error {
  override readonly name = 'TransactionError';
  /** The index of the operation that failed. It is the number of operations when all passed and the commit failed. */
  readonly operation: number;

  constructor(message: string, operation: number) {
    super(message);
    this.operation = operation;
  }
}

/** Returns one result per operation. Throws TransactionError, `ovsdb: TABLE: ERROR: DETAILS`. */
export function readResults(operations: readonly Operation[], reply: Json): readonly Json[] {
  if (!Array.isArray(reply)) throw new Error(`ovsdb: a transaction was answered with ${JSON.stringify(reply).slice(0, 80)}`);
  const results: readonly Json[] = reply;
  for (const [index, result] of results.entries()) {
    if (typeof result !== 'object' || result === null || !('error' in result)) continue;
    const { error, details } = result;
    const operation = operations[index];
    const table = operation !== undefined && 'table' in operation ? operation.table : 'commit';
    throw new TransactionError(`ovsdb: ${table}: ${error}${details ? `: ${details}` : ''}`, index);
  }
  return results;
}

/** A transaction in words: its own comment, or else its operations and tables. */
export function describe(operations: readonly Operation[]): string {
  const comment = operations.find((each) => each.op === 'comment')?.comment;
  return comment ?? operations.map((each) => ('table' in each ? `${each.op} ${each.table}` : each.op)).join(', ');
}

export const set = (values: readonly Json[]): Json => ['set', values];
export const map = (record: Readonly<Record<string, string>>): Json => ['map', Object.entries(record)];
export const uuid = (value: string): Json => ['uuid', value];
/** Refers to a row that the same transaction inserts. The name is ours, because it must be an identifier and a port's name need not be one. */
export const namedUuid = (name: string): Json => ['named-uuid', name];
