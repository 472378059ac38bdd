// The order of rows that a read does not order as the console shows them.
import type { ErrorRow, KeyedVitalRow } from "./wire";

/** Keys by samples of all their vitals, most first. */
export function keysBySamples(rows: KeyedVitalRow[]): (string | null)[] {
  const samples = new Map<string | null, number>();
  for (const row of rows) samples.set(row.key, (samples.get(row.key) ?? 0) + row.samples);
  return [...samples].sort((a, b) => b[1] - a[1]).map(([key]) => key);
}

/** Errors by how many visitors met them, then by how often; a resolved one comes after all that are not. */
export function rankErrors(rows: ErrorRow[]): ErrorRow[] {
  const resolved = (row: ErrorRow): number => Number(row.resolved === true);
  return rows.toSorted((a, b) => resolved(a) - resolved(b) || b.visitors - a.visitors || b.count - a.count);
}
