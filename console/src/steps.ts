// Rows of stepped reads as chart columns: times, gaps between distant rows, and what a step is called.
import type { Span } from "./state/view";

/** Unix second of an RFC 3339 time. */
export function secondOf(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}

/** "every 10 min". */
export function stepText(span: Span): string {
  const minutes = span.step_s / 60;
  return minutes < 60 ? `every ${minutes} min` : minutes === 60 ? "every hour" : `every ${minutes / 60} h`;
}

/**
 * One entry per step from the first row to the last, null where the server has none:
 * a stretch in which nothing was recorded is a gap and never a line across it.
 */
export function withGaps<Row extends { t: string }>(rows: Row[], step_s: number): { t: number[]; rows: (Row | null)[] } {
  const out: { t: number[]; rows: (Row | null)[] } = { t: [], rows: [] };
  for (const row of rows) {
    const at = secondOf(row.t);
    if (Number.isNaN(at)) continue;
    for (let gap = (out.t.at(-1) ?? at) + step_s; gap < at; gap += step_s) {
      out.t.push(gap);
      out.rows.push(null);
    }
    out.t.push(at);
    out.rows.push(row);
  }
  return out;
}
