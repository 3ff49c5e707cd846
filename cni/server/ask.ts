// Asks the running server what only it knows, on the socket of the runtime. served.ts answers.
import { askOnce } from '../../host/files/unix-client.ts';
import { decodeAnswer, encodeRequest } from './frame.ts';

/** @returns the answer's text, or undefined when no server is there. @throws Error with what the server or the machine said. */
export async function askServer(
  path: string,
  question: Readonly<Record<string, string>>,
  patience: number,
): Promise<string | undefined> {
  const bytes = await askOnce(path, encodeRequest({ env: question, stdin: '' }), patience).catch(
    (error: NodeJS.ErrnoException) => {
      if (['ENOENT', 'ECONNREFUSED'].includes(error.code ?? '')) return undefined;
      throw error;
    },
  );
  if (bytes === undefined) return undefined;
  const answer = decodeAnswer(bytes);
  if (answer === undefined) throw new Error('it went away without an answer; its log says more');
  if (answer.exit !== 0) throw new Error(answer.stdout);
  return answer.stdout;
}
