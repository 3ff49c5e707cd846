// What a network's configuration says to us. Each definition is read once: the CNI server's parser takes longer than all the rest of a review.
import { type Definition, ourPart, parseDefinition, withSelection } from '../../network/definition.ts';
import type { NetworkConfig } from '../../network/keys.ts';
import { Refusal } from '../../network/refusal.ts';
import type { Selection } from '../../network/selections.ts';

/** Undefined: not ours. A Refusal is what the CNI server would say. */
export type Read = NetworkConfig | Refusal | undefined;

/** They go with their definitions, which the watch replaces when one changes. */
const reads = new WeakMap<Definition, { readonly read: Read }>();
/** A longer text, which nobody needs, is read each time. A read one takes many times its memory. */
const longestKept = 4096;

/** As the definition has it, without anything of a pod. */
export function readDefinition(definition: Definition): Read {
  const before = reads.get(definition);
  if (before !== undefined) return before.read;
  const read = readPart(ourPart(definition.config, definition.name));
  if ((definition.config?.length ?? 0) <= longestKept) reads.set(definition, { read });
  return read;
}

/** With what the pod's annotation adds for one of its interfaces. */
export function readFor(definition: Definition, selection: Pick<Selection, 'cniArgs' | 'mac'>): Read {
  const addsNothing = Object.keys(selection.cniArgs).length === 0 && selection.mac === undefined;
  if (addsNothing || readDefinition(definition) === undefined) return readDefinition(definition);
  const part = ourPart(definition.config, definition.name);
  return part === undefined ? undefined : readPart(withSelection(part, selection));
}

function readPart(part: Readonly<Record<string, unknown>> | undefined): Read {
  try {
    if (part === undefined) return undefined;
    // More than half of it, which nobody asks for here.
    const { ipam: _ipam, dns: _dns, prevResult: _prevResult, ...kept } = parseDefinition(part);
    return kept;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}
