// One suite that every vnic type runs, on whatever machine it is plugged.
import assert from 'node:assert/strict';
import { succeeded } from './answers.ts';
import type { CniAnswer, CniCall } from './node.ts';

export interface ContractMachine {
  /** Everything that plugging may change, as text. */
  state(): Promise<string>;
  /** A call for a new pod of that type; `config` overrides keys of its network. */
  call(config?: object): Promise<CniCall>;
  cni(command: string, call: CniCall): Promise<CniAnswer>;
  /** Name of an IPAM plugin that refuses every ADD, after a moment. */
  readonly refusingIpam: string;
}

/** Adds the tests. `machine` is asked for when they run. */
export function vnicContract(machine: () => ContractMachine): void {
  it('holds CHECK after it was plugged, and leaves the machine as it was when it is unplugged, once or twice', async () => {
    const { state, call: newCall, cni } = machine();
    const before = await state();
    const call = await newCall();
    const { exit, json, stdout } = await cni('ADD', call);
    assert.equal(exit, 0, stdout);
    assert.notEqual(await state(), before);
    succeeded(await cni('CHECK', { ...call, config: { ...(call.config as object), prevResult: json } }));
    succeeded(await cni('DEL', call));
    assert.equal(await state(), before);
    succeeded(await cni('DEL', call));
    assert.equal((await cni('CHECK', { ...call, config: { ...(call.config as object), prevResult: json } })).exit, 1);
    assert.equal(await state(), before);
  });

  it('leaves the machine as it was when a step in the middle fails', async () => {
    const { state, call: newCall, cni, refusingIpam } = machine();
    const before = await state();
    const call = await newCall({ ipam: { type: refusingIpam } });
    const refused = await cni('ADD', call);
    assert.equal(refused.json.code, 101, refused.stdout);
    assert.equal(await state(), before);
    succeeded(await cni('DEL', call));
  });

  it('can be unplugged though it never was plugged', async () => {
    const { state, call: newCall, cni } = machine();
    const before = await state();
    succeeded(await cni('DEL', await newCall()));
    assert.equal(await state(), before);
  });
}
