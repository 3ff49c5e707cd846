// Why the Kubernetes API server did not do what it was asked, in words for a person: its own, and what helps.
import { STATUS_CODES } from 'node:http';
import { messageOf } from '../base/errors.ts';

/** One line, of anything that the client throws: a refusal, a broken connection, an answer that is none. */
export function apiFailure(error: unknown): string {
  const status = apiStatus(error);
  if (status === undefined) return innermost(error);
  const words = wordsOf(error);
  return `${status} ${STATUS_CODES[status] ?? ''}${words === undefined ? '' : `: ${words}`}${advice[status] ?? ''}`;
}

/** The HTTP status, if it came so far: the client calls it `code` on the error of an answer, `statusCode` on that of a watch. */
export function apiStatus(error: unknown): number | undefined {
  const { code, statusCode }: { readonly code?: unknown; readonly statusCode?: unknown } = Object(error);
  return [code, statusCode].find((each) => typeof each === 'number');
}

const advice: Readonly<Record<number, string>> = {
  401: '; the credentials are refused: is the token expired, or of another cluster?',
  403: '; the account needs the permissions get, list and watch on pods in all namespaces',
};

/** The message in the Status object that the server answers with. */
function wordsOf(error: unknown): string | undefined {
  const { body }: { readonly body?: unknown } = Object(error);
  if (typeof body !== 'string') return undefined;
  try {
    const { message }: { readonly message?: unknown } = Object(JSON.parse(body));
    return typeof message === 'string' ? message : undefined;
  } catch {
    return body.split('\n')[0]?.slice(0, 200);
  }
}

/** "fetch failed" helps nobody; what it was caused by does. */
function innermost(error: unknown): string {
  let inner = error;
  for (let depth = 0; depth < 5 && inner instanceof Error && inner.cause instanceof Error; depth++) inner = inner.cause;
  const several = inner instanceof AggregateError ? inner.errors.map(messageOf).join(', ') : '';
  return several || messageOf(inner);
}
