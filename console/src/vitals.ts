// Arithmetic over groups of web vitals: what can be said of all of them together, and what cannot.
import { vital } from "./format";
import type { Cell, KeyedVitalRow, Rating, VitalName } from "./wire";

export interface Totals {
  good: number;
  needs_improvement: number;
  poor: number;
  samples: number;
}

/** The share of samples a class boundary must hold for the 75th percentile to lie within it. */
const P75 = 0.75;

export function totalsOf(rows: KeyedVitalRow[]): Totals {
  const totals: Totals = { good: 0, needs_improvement: 0, poor: 0, samples: 0 };
  for (const row of rows) {
    totals.good += row.good;
    totals.needs_improvement += row.needs_improvement;
    totals.poor += row.poor;
    totals.samples += row.samples;
  }
  return totals;
}

/** The rating of p75 over all groups follows exactly from the class counts, without knowing p75. */
export function ratingOfTotals({ good, needs_improvement, poor }: Totals): Rating | null {
  const all = good + needs_improvement + poor;
  if (all === 0) return null;
  if (good >= P75 * all) return "good";
  return good + needs_improvement >= P75 * all ? "needs-improvement" : "poor";
}

/** p75 of several groups cannot be had from theirs; their range holds it. */
export function p75Text(name: VitalName, rows: KeyedVitalRow[]): string {
  const known = rows.map((row): Cell => row.p75).filter((value): value is number => value !== null);
  if (known.length === 0) return vital(name, null);
  const low = vital(name, Math.min(...known));
  const high = vital(name, Math.max(...known));
  if (low === high) return low;
  const unit = / m?s$/.exec(high)?.[0] ?? "";
  return unit !== "" && low.endsWith(unit) ? `${low.slice(0, -unit.length)}–${high}` : `${low}–${high}`;
}

/** Keys by samples, most first. */
export function keysBySamples(rows: KeyedVitalRow[]): string[] {
  const samples = new Map<string, number>();
  for (const row of rows) samples.set(row.key, (samples.get(row.key) ?? 0) + row.samples);
  return [...samples].sort((a, b) => b[1] - a[1]).map(([key]) => key);
}
