// JSON as Go's decoder reads it: keys without regard to case. Pure.

export type Fields = Readonly<Record<string, unknown>>;

/** By lower-case key: the value, and the key as it is spelled. */
export function entriesOf(value: Fields): ReadonlyMap<string, { readonly spelled: string; readonly value: unknown }> {
  return new Map(Object.entries(value).map(([spelled, entry]) => [spelled.toLowerCase(), { spelled, value: entry }]));
}
