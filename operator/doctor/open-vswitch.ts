// Is there an Open vSwitch that can take ports?
import { messageOf } from '../../host/base/errors.ts';
import { vswitchdRunning } from '../../host/ovs/bridge.ts';
import { readOvsFacts } from '../../host/ovs/facts.ts';
import { about, type Examination, type Finding, type Patient } from './finding.ts';

const { ok, fail } = about('Open vSwitch');

export const examineOpenVswitch: Examination = async (patient) => {
  const db = patient.host.ovsdb(patient.settings.ovsdb);
  try {
    const facts = await readOvsFacts(db);
    const findings = [
      (await vswitchdRunning(db))
        ? ok(`${facts.version && `${facts.version}, `}answers on ${db.address}`)
        : fail(
            `ovs-vswitchd does not answer on ${db.address}`,
            'systemctl start openvswitch-switch; its log is /var/log/openvswitch/ovs-vswitchd.log',
          ),
      ...bridges(patient, facts.bridges),
    ];
    return findings;
  } catch (error) {
    return [fail(messageOf(error), "systemctl start openvswitch-switch, or set `ovsdb` in the node's configuration")];
  }
};

function bridges(
  { journal }: Patient,
  there: readonly { readonly name: string; readonly datapathType: string }[],
): readonly Finding[] {
  const topic = about('bridges');
  const names = new Set(there.map(({ name }) => name));
  const used = Map.groupBy(
    journal.list().filter(({ attachment }) => attachment.ovsdb.startsWith('unix:') && !names.has(attachment.bridge)),
    ({ attachment }) => attachment.bridge,
  );
  const listed = there.map(({ name, datapathType }) => `${name} (${datapathType})`).join(', ');
  const add = 'ovs-vsctl add-br NAME, or "createBridge": true in the network';
  return [
    there.length === 0 ? topic.warn('there is none', add) : topic.ok(listed),
    ...[...used].map(([name, all]) => topic.fail(`${name}, which ${all.length} attachments are on, is gone`, add)),
  ];
}
