// What the journal knows about one attachment, as text: a line with the intent, then a line for each change of its phase. Pure.
import { defined } from '../../host/base/defined.ts';
import { isRecord } from '../../host/base/json.ts';
import { isVnicType, vnicTypes } from '../../vnic/index.ts';
import type { Result } from '../protocol/result.ts';
import type { Attachment } from './attachment.ts';
import type { PortRecord } from './bridge-port.ts';

export type Phase = 'adding' | 'added' | 'deleting';

/** A part of an attachment that a teardown could not remove. */
export type Part = 'hooks' | 'port' | 'cable' | 'addresses' | 'device-info';

export interface Entry {
  readonly attachment: Attachment;
  readonly phase: Phase;
  /** What the last teardown left. Absent when no teardown has ended. */
  readonly left?: readonly Part[];
  /** The answer of ADD. It exists from phase `added` on. */
  readonly result?: Result;
  /** The port that ADD made. Entries of an older smartnic have none, and so has an attachment without a port. */
  readonly port?: PortRecord;
}

export type Line =
  | { readonly phase: 'added'; readonly result: Result; readonly port?: PortRecord }
  | { readonly phase: 'deleting'; readonly left?: readonly Part[] };

export interface Unreadable {
  readonly problem: string;
}

/** `torn`: the intent never reached the disk completely, so nothing was changed. */
export type Reading = { readonly entry: Entry; readonly lines: number } | 'torn' | Unreadable;

const version = 2;

export function beginning(attachment: Attachment): string {
  return `${JSON.stringify({ version, phase: 'adding', attachment })}\n`;
}

/** Begins with a newline, so that a line that a crash tore does not swallow this one. */
export function addition(line: Line): string {
  return `\n${JSON.stringify(line)}\n`;
}

/** The whole text, in as few lines as possible. */
export function compact({ attachment, phase, result, port, left }: Entry): string {
  const added = result === undefined ? '' : addition({ phase: 'added', result, ...defined({ port }) });
  return `${beginning(attachment)}${added}${phase === 'deleting' ? addition({ phase, ...defined({ left }) }) : ''}`;
}

/** The last complete line decides the phase. @param id - of the attachment after which the file is named. */
export function parseEntry(text: string, id: string): Reading {
  const [first = '', ...rest] = text.split('\n');
  const intent = parseLine(first);
  if (intent === undefined && rest.length === 0) return 'torn';
  if (!isRecord(intent)) return { problem: 'its first line is not JSON' };
  if (intent['version'] !== version)
    return { problem: `its version is ${String(intent['version'])}, and this server reads ${version}` };
  if (!isAttachment(intent['attachment'], id)) return { problem: 'it does not hold the attachment that it is named after' };
  const { vnicType } = intent['attachment'];
  if (!isVnicType(vnicType))
    return { problem: `its vnic type is ${String(vnicType)}, and this server knows ${vnicTypes.join(', ')}` };
  const more = rest.filter((line) => line !== '');
  let entry: Entry = { attachment: intent['attachment'], phase: 'adding' };
  for (const [at, text] of more.entries()) {
    // A line that repeats the last one is skipped, because earlier servers wrote thousands of them.
    const line = text === more[at - 1] ? undefined : parseLine(text);
    if (isLine(line)) entry = { ...entry, ...line };
  }
  return { entry, lines: 1 + more.length };
}

/** Only we write the file, below a 0700 directory. So its shape is trusted when the line is complete and names the right attachment. */
function isAttachment(value: unknown, id: string): value is Attachment {
  return isRecord(value) && value['id'] === id;
}

/** Whether the entry would stay the same with this line. */
export function says({ phase, left }: Entry, line: Line): boolean {
  if (line.phase === 'added' || phase !== 'deleting') return false;
  return line.left === undefined || line.left.join() === left?.join();
}

function isLine(value: unknown): value is Line {
  if (!isRecord(value)) return false;
  return value['phase'] === 'deleting' || (value['phase'] === 'added' && isRecord(value['result']));
}

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
