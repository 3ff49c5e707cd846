// What the parts of the demonstration share: how they tell, and the one figure of traffic that each of them has.
import { run } from '../../tools/program.ts';

export interface Shown {
  /** Rows of the closing table: type, how it was shown, between whom, traffic. */
  readonly rows: readonly (readonly string[])[];
  /** What is left behind. */
  readonly left: readonly string[];
}

export function step(text: string): void {
  console.log(`==> ${text}`);
}

/** Full-size echo requests as fast as they are answered. */
export async function flood(netns: string, address: string): Promise<string> {
  return figureOf((await run('ip', ['netns', 'exec', netns, ...floodCommand(3000, address)], { reject: false })).stdout);
}

export function floodCommand(count: number, address: string): readonly string[] {
  return ['ping', '-n', '-q', '-f', '-l', '16', '-s', '1400', '-W', '1', '-c', String(count), address];
}

/** Of ping's last lines. */
export function figureOf(said: string): string {
  const [, sent = '?', answered = '0', took = ''] = /(\d+) packets transmitted, (\d+) received.* time (\d+)ms/.exec(said) ?? [];
  const rate = Number(took) > 0 ? `, ${Math.round((Number(answered) * 1000) / Number(took))} a second` : '';
  return `${answered} of ${sent} echoes answered${rate}`;
}
