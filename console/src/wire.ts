// The shapes the server sends (stream and reads) and the guards that let them in; no logic over them lives here.

/** A measured number, or null where nothing was measured. */
export type Cell = number | null;

export type Rating = "good" | "needs-improvement" | "poor";

export type VitalName = "LCP" | "INP" | "CLS" | "FCP" | "TTFB";

/** Percentiles in milliseconds; null when no request fell into the interval. */
export interface Percentiles {
  p50: Cell;
  p95: Cell;
  p99: Cell;
}

/** Milliseconds to the head of an app's answers: waiting for the app, and the rest. The percentiles do not add up. */
export interface Split {
  upstream_p50: number;
  upstream_p95: number;
  ours_p50: number;
  ours_p95: number;
}

export interface RankRow {
  key: string;
  visitors: number;
  pageviews: number;
}

/** A named event of pages or the app; what the app recorded has no visitors. */
export interface EventRow {
  name: string;
  count: number;
  visitors: number;
}

/** `p75` is in milliseconds, unitless for CLS. */
export interface VitalRow {
  name: VitalName;
  p75: Cell;
  rating: string;
  good: number;
  needs_improvement: number;
  poor: number;
  samples: number;
}

/** `key` is null for the whole site, and for views of a release without a name. */
export interface KeyedVitalRow extends VitalRow {
  key: string | null;
}

export interface ErrorRow {
  fingerprint: string;
  name: string;
  message: string;
  count: number;
  visitors: number;
  last_seen: string;
  first_seen?: string;
  resolved?: boolean;
}

/** Alike reports of browsers; a text is empty where the type does not say. */
export interface ReportRow {
  fingerprint: string;
  type: string;
  name: string;
  document: string;
  blocked: string;
  source: string;
  line: number | null;
  disposition: string;
  message: string;
  browser: string | null;
  count: number;
  last_seen: string;
}

/** `component` says which of several, where there are several. */
export interface Check {
  name: string;
  component?: string | null;
  status: string;
  output?: string;
}

/** One copy of an app; `errors` are requests it did not answer, `latency_ms` a running mean, null before the first. */
export interface UpstreamRow {
  site: string;
  url: string;
  state: string;
  in_flight: number;
  requests: number;
  errors: number;
  latency_ms: Cell;
  since: string;
}

/** `cpu` is a share of one core; `recorder_shed` counts events dropped since start. */
export interface Saturation {
  cpu: Cell;
  memory_bytes: Cell;
  connections: Cell;
  recorder_queue: Cell;
  recorder_shed: Cell;
}

/**
 * One second of the stream; `rate` is per second, `errors` are answers with a 5xx status. What is refused reached no
 * site: those numbers are the whole server's. `sites` names all, `apps` says how many of them have an app.
 */
export interface Snapshot {
  t: string;
  version: string;
  environment: string;
  site: string;
  sites: string[];
  uptime_s: number;
  rate: { requests: number; errors: number; refused: number; bytes: number };
  latency_ms: Percentiles | null;
  latency_1m_ms: Percentiles | null;
  split_ms: Split | null;
  split_1m_ms: Split | null;
  upstreams: UpstreamRow[];
  apps: number;
  visitors_now: number;
  pageviews_30m: number[];
  pages: RankRow[];
  sources: RankRow[];
  vitals: VitalRow[];
  js_errors: ErrorRow[];
  refused_total: Record<string, number>;
  saturation: Saturation;
  health: string;
  checks: Check[];
}

/** The seconds before the stream began, oldest first; `t0` is the unix second of the first. */
export interface History {
  t0: number;
  step_s: number;
  requests: Cell[];
  errors: Cell[];
  refused: Cell[];
  p50_ms: Cell[];
  p95_ms: Cell[];
  p99_ms: Cell[];
  upstream_p50_ms: Cell[];
  upstream_p95_ms: Cell[];
  ours_p50_ms: Cell[];
  ours_p95_ms: Cell[];
}

export interface Session {
  role: string;
  expires: string;
  version: string;
  site_url: string;
  environment: string;
  sites: string[];
}

/** Counts within one step beginning at `t`. */
export interface TrafficRow {
  t: string;
  requests: number;
  errors: number;
  p50_ms: Cell;
  p95_ms: Cell;
  p99_ms: Cell;
  refused: number;
  bytes: number;
  upstream_p50_ms: Cell;
  upstream_p95_ms: Cell;
  ours_p50_ms: Cell;
  ours_p95_ms: Cell;
}

export interface VisitorRow {
  t: string;
  visitors: number;
  pageviews: number;
  bounces: number;
  engaged_ms: number;
}

/** One process; `ready` and `checks` are known of the one that answers (`here`) alone. */
export interface NodeRow {
  id: string;
  version: string;
  region: string | null;
  started: string;
  seen: string;
  here: boolean;
  ready: boolean | null;
  checks: Check[];
}

/** A database or Redis server, or a file; null where a number makes no sense for it. */
export interface DatabaseRow {
  server: string;
  engine: string;
  role: string;
  region: string | null;
  healthy: boolean;
  reason: string | null;
  time_series: string | null;
  lag_bytes: Cell;
  lag_ms: Cell;
  connections_active: Cell;
  connections_idle: Cell;
  in_flight: Cell;
  size_bytes: Cell;
  wal_bytes: Cell;
}

export type JobStatus = "waiting" | "active" | "delayed" | "completed" | "failed" | "dead";

/** A queue and how many of its jobs stand how; `oldest_ms` is null where none waits. */
export interface QueueRow extends Record<JobStatus, number> {
  queue: string;
  paused: boolean;
  oldest_ms: Cell;
}

/** A job; the server has left out of payload, progress, result and error what may be a person's or a secret. */
export interface JobRow {
  id: string;
  queue: string;
  type: string;
  status: JobStatus;
  attempts: number;
  attempts_max: number;
  priority: number;
  progress: unknown;
  result: unknown;
  error: string | null;
  created_at: string;
  run_at: string;
  started_at: string | null;
  finished_at: string | null;
  payload: unknown;
  stalled: number;
}

/** One page of a read. */
export interface Page<Row> {
  data: Row[];
  next: string | null;
  as_of: string;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses text that may not be JSON at all. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** True when every part the panels read is there; a frame of another version is refused whole. */
export function isSnapshot(value: unknown): value is Snapshot {
  if (!isRecord(value) || typeof value["t"] !== "string") return false;
  const lists = ["pageviews_30m", "pages", "sources", "vitals", "js_errors", "checks", "sites", "upstreams"];
  const records = ["rate", "refused_total", "saturation"];
  return lists.every((name) => Array.isArray(value[name])) && records.every((name) => isRecord(value[name]));
}

export function isHistory(value: unknown): value is History {
  if (!isRecord(value) || typeof value["t0"] !== "number") return false;
  const split = ["upstream_p50_ms", "upstream_p95_ms", "ours_p50_ms", "ours_p95_ms"];
  return ["requests", "errors", "refused", "p50_ms", "p95_ms", "p99_ms", ...split].every((name) => Array.isArray(value[name]));
}

export function isSession(value: unknown): value is Session {
  return isRecord(value) && Array.isArray(value["sites"]) && typeof value["site_url"] === "string";
}

export function isPage(value: unknown): value is Page<unknown> {
  return isRecord(value) && Array.isArray(value["data"]);
}

/** The sentence of a problem+json body (RFC 9457), when there is one. */
export function problemText(value: unknown): string | null {
  if (!isRecord(value)) return null;
  const text = value["detail"] ?? value["title"];
  return typeof text === "string" ? text : null;
}
