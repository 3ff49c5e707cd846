// What a relay's testpmd writes: whether it forwards, and why it ended.
import { readText } from '../host/kernel/sysfs.ts';

/** By then the first port, the vf's, is started: ports come in order, and it has two (--nb-ports). */
export function forwards(logFile: string): boolean {
  return readText(logFile)?.includes('vhost-user client: socket created') ?? false;
}

/** Bytes. testpmd tells each reconnect of a consumer at length. It appends, so after a cut it goes on at the beginning. */
export const longestLog = 1 << 20;

/** Its complaints, as far as they can be told from its chatter. */
export function lastWords(logFile: string): string {
  const lines = (readText(logFile) ?? '').split('\n').filter((line) => line.trim() !== '');
  const complaints = lines.filter((line) =>
    /error|fail|cannot|can't|invalid|no free|unavailable|cause:|no such|unable/i.test(line),
  );
  return (
    (complaints.length > 0 ? complaints : lines)
      .slice(-6)
      .map((line) => line.trim())
      .join('; ') || 'nothing (was it killed?)'
  );
}
