// The log: JSON lines on stderr. It never writes to stdout.
import { type Logger, pino } from 'pino';
import { openLines } from './lines.ts';

export type { Logger };

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export function openLog(level: LogLevel): Logger {
  return pino({ level, base: null }, openLines(2, lostLines));
}

/** As pino writes a warning. */
function lostLines(lines: number): string {
  return `${JSON.stringify({ level: 40, time: Date.now(), lines, msg: 'lines before this one could not be written and are lost' })}\n`;
}
