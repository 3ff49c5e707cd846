// Reads JSON objects as Go's decoder does: upper and lower case in keys are the same. Pure.

export type Fields = Readonly<Record<string, unknown>>;

/** For each key in lower case: the value, and the key as it was written. */
export function entriesOf(value: Fields): ReadonlyMap<string, { readonly spelled: string; readonly value: unknown }> {
  return new Map(Object.entries(value).map(([spelled, entry]) => [spelled.toLowerCase(), { spelled, value: entry }]));
}
