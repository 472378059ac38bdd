// The last five minutes as aligned columns, one entry a second; pure functions, no network and no clock.
import type { Cell, History, Snapshot } from "./wire";

/** How many seconds the live charts show. */
export const WINDOW_S = 300;

const COLUMNS = ["requests", "errors", "refused", "p50", "p95", "p99", "appP50", "appP95", "oursP50", "oursP95"] as const;

type Column = (typeof COLUMNS)[number];

/** Columns as long as `t` (unix seconds, ascending); null marks a second nobody reported. */
export interface Timeline extends Record<Column, Cell[]> {
  t: number[];
  /** Sequence number of the last snapshot, null right after history. */
  sequence: number | null;
}

function eachColumn<T>(make: (name: Column) => T): Record<Column, T> {
  return Object.fromEntries(COLUMNS.map((name) => [name, make(name)])) as Record<Column, T>;
}

export function emptyTimeline(): Timeline {
  return { t: [], sequence: null, ...eachColumn((): Cell[] => []) };
}

export function fromHistory(history: History): Timeline {
  const { requests, errors, refused, p50_ms: p50, p95_ms: p95, p99_ms: p99 } = history;
  const { upstream_p50_ms: appP50, upstream_p95_ms: appP95, ours_p50_ms: oursP50, ours_p95_ms: oursP95 } = history;
  const sent = { requests, errors, refused, p50, p95, p99, appP50, appP95, oursP50, oursP95 };
  const start = Math.max(0, requests.length - WINDOW_S);
  const length = requests.length - start;
  return {
    t: Array.from({ length }, (_, i) => history.t0 + (start + i) * history.step_s),
    sequence: null,
    ...eachColumn((name) => Array.from({ length }, (_, i) => sent[name][start + i] ?? null)),
  };
}

/** The entries before `second`, at most a window of them less one. */
function before(line: Timeline, second: number): Timeline {
  const end = line.t.findLastIndex((t) => t < second) + 1;
  const start = Math.max(0, end - WINDOW_S + 1);
  return { t: line.t.slice(start, end), sequence: line.sequence, ...eachColumn((name) => line[name].slice(start, end)) };
}

function push(line: Timeline, t: number, point: Record<Column, Cell> | null): Timeline {
  const kept = before(line, t);
  return { t: [...kept.t, t], sequence: line.sequence, ...eachColumn((name) => [...kept[name], point?.[name] ?? null]) };
}

function pointOf({ rate, latency_ms: latency, split_ms: split }: Snapshot): Record<Column, Cell> {
  return {
    requests: rate.requests,
    errors: rate.errors,
    refused: rate.refused,
    p50: latency?.p50 ?? null,
    p95: latency?.p95 ?? null,
    p99: latency?.p99 ?? null,
    appP50: split?.upstream_p50 ?? null,
    appP95: split?.upstream_p95 ?? null,
    oursP50: split?.ours_p50 ?? null,
    oursP95: split?.ours_p95 ?? null,
  };
}

/** Neighbours stay neighbours although a late timer may skip or repeat a wall second. */
function secondOf(line: Timeline, wall: number, sequence: number | null): number {
  const last = line.t.at(-1);
  if (last === undefined) return wall;
  if (line.sequence === null) return wall === last + 2 ? last + 1 : wall;
  const follows = sequence === line.sequence + 1;
  return follows && Math.abs(wall - last - 1) <= 1 ? last + 1 : wall;
}

/** Adds one snapshot; seconds nobody reported become null, so an outage is a gap and never a line. */
export function append(line: Timeline, snapshot: Snapshot, sequence: number | null): Timeline {
  const wall = Math.floor(Date.parse(snapshot.t) / 1000);
  if (Number.isNaN(wall)) return line;
  const at = secondOf(line, wall, sequence);
  const last = line.t.at(-1) ?? at - 1;
  let next = line;
  for (let gap = Math.max(last + 1, at - WINDOW_S); gap < at; gap += 1) next = push(next, gap, null);
  return { ...push(next, at, pointOf(snapshot)), sequence };
}

function known(column: Cell[]): number[] {
  return column.filter((value): value is number => value !== null);
}

/** Sum of the reported entries of the last `seconds`, null when none was reported. */
export function sumLast(column: Cell[], seconds: number): Cell {
  const values = known(column.slice(-seconds));
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
}

/** Mean of the reported entries of the last `seconds`. */
export function meanLast(column: Cell[], seconds: number): Cell {
  const values = known(column.slice(-seconds));
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function peak(column: Cell[]): Cell {
  const values = known(column);
  return values.length === 0 ? null : Math.max(...values);
}

/** Errors per request within the last `seconds`, null when there was no request. */
export function errorShare(line: Timeline, seconds: number): Cell {
  const requests = sumLast(line.requests, seconds);
  const errors = sumLast(line.errors, seconds);
  return requests === null || errors === null || requests === 0 ? null : errors / requests;
}
