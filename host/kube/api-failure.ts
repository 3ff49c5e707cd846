// Why a request to the Kubernetes API server failed, in words for a person: the server's own words, and what helps.
import { STATUS_CODES } from 'node:http';
import { messageOf } from '../base/errors.ts';

/**
 * One line for anything that the client throws: a refusal, a broken connection, an answer that can't be read.
 * @param permissions - those that the account needs for it.
 */
export function apiFailure(error: unknown, permissions = 'get, list and watch on pods in all namespaces'): string {
  const status = apiStatus(error);
  if (status === undefined) return innermost(error);
  const words = wordsOf(error);
  return `${status} ${STATUS_CODES[status] ?? ''}${words === undefined ? '' : `: ${words}`}${adviceFor(status, permissions)}`;
}

/** The HTTP status, if there was an answer. The client calls it `code` on the error of a request, and `statusCode` on the error of a watch. */
export function apiStatus(error: unknown): number | undefined {
  const { code, statusCode }: { readonly code?: unknown; readonly statusCode?: unknown } = Object(error);
  return [code, statusCode].find((each) => typeof each === 'number');
}

function adviceFor(status: number, permissions: string): string {
  if (status === 401) return '; the credentials are refused: is the token expired, or of another cluster?';
  return status === 403 ? `; the account needs the permissions ${permissions}` : '';
}

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
