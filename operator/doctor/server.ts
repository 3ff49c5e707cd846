// Does the CNI server answer, and does it work with the present configuration?
import { askServer } from '../../cni/server/ask.ts';
import { askVariable, type ServerState } from '../../cni/server/served.ts';
import { whyUnanswered } from '../../host/files/unix-client.ts';
import { about, type Examination, type Patient } from './finding.ts';

const { ok, warn, fail } = about('CNI server');

export const examineServer: Examination = async (patient) => {
  const { socket } = patient.settings;
  const problem = (await whyUnanswered(socket))?.message;
  if (problem !== undefined) {
    const how = problem.includes('EACCES') ? 'run the doctor as root' : 'start smartnic-cni.mjs; its log says why it ended';
    return [fail(`does not answer on ${socket}: ${problem}`, how)];
  }
  const waiting = (await askState(patient))?.waiting ?? [];
  if (waiting.length === 0) return [ok(`answers on ${socket}`)];
  const restart = 'kubectl -n kube-system rollout restart ds/smartnic';
  return [
    ok(`answers on ${socket}`),
    warn(`was started before these keys of its configuration changed: ${waiting.join(', ')}`, restart),
  ];
};

/** What only the running server knows. Undefined when it does not say so: it is away, hangs, or is of another version. */
export async function askState({ settings }: Pick<Patient, 'settings'>): Promise<ServerState | undefined> {
  try {
    const answer = await askServer(settings.socket, { [askVariable]: 'state' }, 2000);
    return answer === undefined ? undefined : JSON.parse(answer);
  } catch {
    return undefined;
  }
}
