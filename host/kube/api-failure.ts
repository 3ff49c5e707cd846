// Why a request to the Kubernetes API server failed, in words for a person: the server's own words, and what helps.
import { STATUS_CODES } from 'node:http';
import { messageOf } from '../base/errors.ts';

/** One line for anything that the client throws: a refusal, a broken connection, an answer that can't be read. */
export function apiFailure(error: unknown): string {
  const status = apiStatus(error);
  if (status === undefined) return innermost(error);
  const words = wordsOf(error);
  return `${status} ${STATUS_CODES[status] ?? ''}${words === undefined ? '' : `: ${words}`}${advice[status] ?? ''}`;
}

/** The HTTP status, if there was an answer. The client calls it `code` on the error of a request, and `statusCode` on the error of a watch. */
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

/** "fetch failed" helps nobody, but its cause does. */
function innermost(error: unknown): string {
  let inner = error;
  for (let depth = 0; depth < 5 && inner instanceof Error && inner.cause instanceof Error; depth++) inner = inner.cause;
  const several = inner instanceof AggregateError ? inner.errors.map(messageOf).join(', ') : '';
  return several || messageOf(inner);
}
