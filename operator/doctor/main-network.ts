// Where we are the main network: does the runtime have it as its ConfigMap says?
import { about, type Examination } from './finding.ts';
import { askState } from './server.ts';

const { ok, warn, fail } = about('main network');

/** Only the running server knows, because it alone sees both files. */
export const examineMainNetwork: Examination = async (patient) => {
  const { problems = [], remark, file } = (await askState(patient))?.mainNetwork ?? {};
  if (file === undefined) return [];
  const kept = 'correct the ConfigMap, it is then taken over without a restart; the runtime keeps what it has';
  if (problems.length > 0) return problems.map((words) => fail(words, kept));
  if (remark !== undefined)
    return [warn(remark, `make the ConfigMap say the same; or remove the file and restart the server, which writes it anew`)];
  return [ok(`${file} is as the ConfigMap says`)];
};
