// The log: JSON lines on stderr, nothing ever on stdout.
import { destination, type Logger, pino } from 'pino';

export type { Logger };

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export function openLog(level: LogLevel): Logger {
  return pino({ level, base: null }, destination({ dest: 2, sync: true }));
}
