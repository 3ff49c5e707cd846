// What the supervisor reads of the node's configuration, in the program itself: a typo must not take all relays of a node down.
import { match } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, start } from '../../../tools/program.ts';
import { until } from '../../support/until.ts';

const program = join(import.meta.dirname, '../../../supervisor/main.ts');

describe("the supervisor's configuration", () => {
  let dir: string;
  let env: Readonly<Record<string, string>>;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sv-'));
    env = { SMARTNIC_CONFIG: join(dir, 'config.yaml'), SMARTNIC_STATE_DIR: join(dir, 'state') };
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const configure = (text: string) => writeFileSync(join(dir, 'config.yaml'), text);
  const good = () => `logLevel: info\nforwarder: { kind: testpmd, directory: ${dir}/run, hugepages: false }\n`;

  /** What it says until it serves. */
  async function serving(): Promise<string> {
    const child = start(process.execPath, [program], { env, reject: false, buffer: false, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    try {
      await until(async () => said.includes('supervising relays'), 'it serves');
    } finally {
      child.kill();
      await child;
    }
    return said;
  }

  it('is refused with file, line and key where there is no earlier one', async () => {
    configure(`logLevel: info\nforwarder:\n  kind: testpmd\n  workerCores: []\n`);
    const { stderr } = await run(process.execPath, [program], { env, reject: false });
    match(stderr, /config\.yaml:4: forwarder\.workerCores: \[\] is empty/);
    configure(`forwarder:\n  kind: xvio\n`);
    match((await run(process.execPath, [program], { env, reject: false })).stderr, /config\.yaml:2: forwarder\.kind: is xvio/);
  });

  it('is the last good one while the present one is refused, and the log says so', async () => {
    configure(good());
    await serving();
    configure(good().replace('hugepages', 'hugepagse'));
    match(
      await serving(),
      /"problems":\["\S+config\.yaml:2: unknown key \\"hugepagse\\" in forwarder; the keys here are kind, [^"]*"\],"msg":"configuration refused; the last good one is in force"/,
    );
  });
});
