// Realistic answers in the exact shapes of the API, for tests and screenshots only; never part of the bundle.
// Deterministic: the same second gives the same numbers.

/** @param {number} seed */
const noise = (seed) => {
  const x = Math.sin(seed * 12.9898) * 43758.5453;
  return x - Math.floor(x);
};

/** @param {number} second */
const load = (second) => Math.max(0, 34 + 16 * Math.sin(second / 41) + 9 * Math.sin(second / 7.3) + 10 * (noise(second) - 0.5));

/** @param {number} second */
function secondOf(second) {
  const requests = Math.round(load(second));
  const spike = second % 97 < 6 ? 9 : 1;
  return {
    requests,
    errors: second % 61 < 3 ? 2 : 0,
    refused: second % 29 === 0 ? 1 : 0,
    p50: round(0.18 + 0.06 * noise(second + 1)),
    p95: round((0.9 + 0.5 * noise(second + 2)) * spike),
    p99: round((2.1 + 2.4 * noise(second + 3)) * spike * 1.6),
    split: {
      upstream_p50: round(11 + 3 * noise(second + 4)), upstream_p95: round((62 + 30 * noise(second + 5)) * (spike > 1 ? 3 : 1)),
      ours_p50: round(0.2 + 0.05 * noise(second + 6)), ours_p95: round(0.7 + 0.4 * noise(second + 7)),
    },
  };
}

/** @param {number} value */
const round = (value) => Math.round(value * 1000) / 1000;

/** @typedef {"busy" | "empty" | "quiet"} Scene */
/** @typedef {import("../../src/wire.ts").UpstreamRow} UpstreamRow */

/** Three copies of the app behind a site: one well, one coming back, one away. @param {string} site @returns {UpstreamRow[]} */
export function copiesOf(site) {
  const row = { site, url: "http://127.0.0.1:3000", state: "healthy", in_flight: 4, requests: 48_213, errors: 0, latency_ms: 11.4, since: iso(Date.now() - 9.3e6) };
  return [
    row,
    { ...row, url: "http://127.0.0.1:3001", state: "starting", in_flight: 1, requests: 310, errors: 2, latency_ms: 14.9, since: iso(Date.now() - 6_000) },
    { ...row, url: "https://app-3.internal.example:8443", state: "failing", in_flight: 0, requests: 12_007, errors: 41, latency_ms: null, since: iso(Date.now() - 190_000) },
  ];
}

/** @param {Scene} scene @param {number} now @returns {import("../../src/wire.ts").History} */
export function historyOf(scene, now, hasApp = false) {
  const length = scene === "busy" ? 300 : 40;
  const seconds = Array.from({ length }, (_, i) => now - length + i);
  const points = seconds.map((second) => pointOf(scene, second, hasApp));
  return {
    t0: seconds[0],
    step_s: 1,
    requests: points.map((p) => p.requests),
    errors: points.map((p) => p.errors),
    refused: points.map((p) => p.refused),
    p50_ms: points.map((p) => p.p50),
    p95_ms: points.map((p) => p.p95),
    p99_ms: points.map((p) => p.p99),
    upstream_p50_ms: points.map((p) => p.split?.upstream_p50 ?? null),
    upstream_p95_ms: points.map((p) => p.split?.upstream_p95 ?? null),
    ours_p50_ms: points.map((p) => p.split?.ours_p50 ?? null),
    ours_p95_ms: points.map((p) => p.split?.ours_p95 ?? null),
  };
}

/** @param {Scene} scene @param {number} second @param {boolean} hasApp */
function pointOf(scene, second, hasApp) {
  const none = { requests: 0, errors: 0, refused: 0, p50: null, p95: null, p99: null, split: null };
  if (scene === "empty") return none;
  const point = hasApp ? secondOf(second) : { ...secondOf(second), split: null };
  if (scene === "quiet") return second % 7 === 0 ? { ...point, requests: 1, errors: 0 } : none;
  return point;
}

const PAGES = [
  { key: "/", visitors: 41, pageviews: 63 },
  { key: "/work/lighthouse-identity", visitors: 22, pageviews: 27 },
  { key: "/work", visitors: 18, pageviews: 31 },
  { key: "/about", visitors: 12, pageviews: 13 },
  { key: "/notes/on-the-quiet-use-of-colour-in-long-interfaces-and-why-it-matters", visitors: 9, pageviews: 10 },
  { key: "/contact", visitors: 6, pageviews: 8 },
  { key: "/work/harbour-wayfinding", visitors: 5, pageviews: 5 },
  { key: "/impressum", visitors: 1, pageviews: 1 },
];

const SOURCES = [
  { key: "Direct / none", visitors: 29, pageviews: 52 },
  { key: "google.com", visitors: 17, pageviews: 38 },
  { key: "news.ycombinator.com", visitors: 11, pageviews: 14 },
  { key: "are.na", visitors: 6, pageviews: 17 },
  { key: "newsletter-november", visitors: 4, pageviews: 12 },
  { key: "duckduckgo.com", visitors: 3, pageviews: 6 },
  { key: "mastodon.social", visitors: 2, pageviews: 2 },
  { key: "linkedin.com", visitors: 1, pageviews: 1 },
];

/** @type {import("../../src/wire.ts").VitalRow[]} */
const VITALS = [
  { name: "LCP", p75: 1834.2, rating: "good", good: 412, needs_improvement: 61, poor: 9, samples: 482 },
  { name: "INP", p75: 248, rating: "needs_improvement", good: 231, needs_improvement: 142, poor: 21, samples: 394 },
  { name: "CLS", p75: 0.31, rating: "poor", good: 201, needs_improvement: 90, poor: 171, samples: 462 },
  { name: "FCP", p75: 912.5, rating: "good", good: 455, needs_improvement: 22, poor: 5, samples: 482 },
  { name: "TTFB", p75: 84.1, rating: "good", good: 480, needs_improvement: 2, poor: 0, samples: 482 },
];

/** @param {number} nowMs */
const errorsOf = (nowMs) => [
  { fingerprint: "a1", name: "TypeError", message: "Cannot read properties of undefined (reading 'getBoundingClientRect')", count: 37, visitors: 12, last_seen: iso(nowMs - 42_000) },
  { fingerprint: "b2", name: "ReferenceError", message: "<img src=x onerror=alert(1)> is not defined", count: 9, visitors: 3, last_seen: iso(nowMs - 26 * 60_000) },
  { fingerprint: "c3", name: "UnhandledRejection", message: "NetworkError when attempting to fetch resource.", count: 15, visitors: 14, last_seen: iso(nowMs - 3 * 3_600_000) },
];

/** @param {number} ms */
const iso = (ms) => new Date(ms).toISOString();

/** @param {Scene} scene @param {number} nowMs @param {string} site @param {string[]} sites @param {UpstreamRow[]} copies @returns {import("../../src/wire.ts").Snapshot} */
export function snapshotOf(scene, nowMs, site, sites = [site], copies = []) {
  const second = Math.floor(nowMs / 1000);
  const upstreams = copies.filter((row) => row.site === site);
  const now = pointOf(scene, second, upstreams.length > 0);
  const latency = now.p50 === null ? null : { p50: now.p50, p95: now.p95, p99: now.p99 };
  const busy = scene === "busy";
  return {
    t: iso(nowMs),
    version: "0.1.0",
    environment: "production",
    site,
    sites,
    uptime_s: 187_654,
    rate: { requests: now.requests, errors: now.errors, refused: now.refused, bytes: busy ? now.requests * 18_431 : 0 },
    latency_ms: latency ?? { p50: null, p95: null, p99: null },
    latency_1m_ms: busy ? { p50: 0.21, p95: 1.9, p99: 7.4 } : { p50: null, p95: null, p99: null },
    split_ms: now.split,
    split_1m_ms: busy && upstreams.length > 0 ? { upstream_p50: 12.6, upstream_p95: 84.3, ours_p50: 0.22, ours_p95: 0.9 } : null,
    upstreams,
    apps: new Set(copies.map((row) => row.site)).size,
    visitors_now: busy ? 23 : 0,
    pageviews_30m: Array.from({ length: 30 }, (_, i) => (busy ? Math.round(5 + 4 * Math.sin(i / 4) + 3 * noise(i)) * (i === 11 ? 0 : 1) : 0)),
    pages: busy ? PAGES : [],
    sources: busy ? SOURCES : [],
    vitals: busy ? VITALS : [],
    js_errors: busy ? errorsOf(nowMs) : [],
    refused_total: busy ? { header_too_large: 18, bad_request: 4, connections: 0 } : { header_too_large: 0, bad_request: 0, connections: 0 },
    saturation: { cpu: busy ? 0.124 : 0.002, memory_bytes: 41_812_345, connections: busy ? 17 : 1, recorder_queue: 0, recorder_shed: 0 },
    health: busy ? "warn" : "pass",
    checks: [
      { name: "store", status: "pass", output: "" },
      { name: "recorder", status: "pass", output: "" },
      { name: "disk", status: busy ? "warn" : "pass", output: busy ? "9 % of the data folder's disk is free" : "" },
    ],
  };
}

/** @typedef {"alone" | "shared" | "by itself" | "cut off"} Machines */

/** @type {import("../../src/wire.ts").DatabaseRow} */
const BARE = { server: "", engine: "postgres", role: "replica", region: null, healthy: true, reason: null, time_series: null, lag_bytes: null, lag_ms: null, connections_active: 0, connections_idle: 5, in_flight: 0, size_bytes: null, wal_bytes: null };

/** Files alone; or a primary with two replicas of which one is away, with Redis. @param {Machines} machines @returns {import("../../src/wire.ts").DatabaseRow[]} */
export function databasesOf(machines) {
  if (machines === "alone") {
    const file = { ...BARE, engine: "sqlite", role: "file", in_flight: null };
    return [
      { ...file, server: "core.db", connections_idle: 3, size_bytes: 81_920, wal_bytes: 4_152 },
      { ...file, server: "insight.db", connections_active: 1, connections_idle: 3, size_bytes: 12_402_688, wal_bytes: 1_240_992 },
    ];
  }
  const redis = { ...BARE, engine: "redis", connections_active: null, connections_idle: null, in_flight: null };
  const servers = [
    { ...BARE, server: "db-1.internal.example:5432", role: "primary", region: "eu-central-1", time_series: "TimescaleDB (Apache)", lag_bytes: 0, lag_ms: 0, connections_active: 3, connections_idle: 5, in_flight: 3 },
    { ...BARE, server: "db-2.internal.example:5432", region: "eu-central-1", time_series: "TimescaleDB (Apache)", lag_bytes: 1_310_720, lag_ms: 412, connections_active: 1, connections_idle: 6, in_flight: 1 },
    { ...BARE, server: "db-3.internal.example:5432", region: "us-east-1", healthy: false, reason: "connection refused <img src=x onerror=alert(1)>", lag_bytes: 0, lag_ms: 0, connections_idle: 0 },
  ];
  if (machines === "cut off") return servers.map((row) => ({ ...row, healthy: false, reason: "timed out", connections_active: 0, connections_idle: 0 }));
  return [
    ...servers,
    { ...redis, server: "10.0.0.21:6379", role: "primary" },
    { ...redis, server: "10.0.0.22:6379", role: "replica", healthy: false, reason: "did not answer" },
  ];
}

/** @param {Machines} machines @param {number} nowMs @returns {import("../../src/wire.ts").NodeRow[]} */
export function nodesOf(machines, nowMs) {
  const pass = ["store:files", "store:recorder", "tasks:running"].map((name) => ({ name, component: null, status: "pass", output: "" }));
  const own = { id: "0197f3c2-6d10-7a41-9c55-3f0be1a2c9d4", version: "0.1.0", region: null, started: iso(nowMs - 9.3e6), seen: iso(nowMs), here: true, ready: true, checks: pass };
  if (machines === "alone") return [own];
  const away = { name: "store:database", component: "db-3.internal.example:5432", status: "warn", output: "connection refused" };
  const here = { ...own, region: "eu-central-1", checks: [...pass, away] };
  const other = { ...own, here: false, ready: null, checks: [], seen: iso(nowMs - 4_000) };
  if (machines === "cut off" || machines === "by itself") return [here];
  return [
    here,
    { ...other, id: "0197f3c2-7b22-7f00-8d31-bb20f4e1a077", region: "eu-central-1", started: iso(nowMs - 9.2e6) },
    { ...other, id: "0197f3c8-01aa-7e12-a3c4-1d5c0f2b7e90", region: "us-east-1", version: "0.2.0", started: iso(nowMs - 4e5) },
  ];
}

/** @param {number} nowMs */
const reportsOf = (nowMs) => [
  { fingerprint: "d4", type: "csp-violation", name: "script-src-elem", document: "/shop", blocked: "inline", source: "/shop", line: 12, column: 1, disposition: "report", message: "<img src=x onerror=alert(1)>", browser: "Firefox 128 on Linux", count: 10_000, first_seen: iso(nowMs - 8.64e7), last_seen: iso(nowMs - 5_000) },
  { fingerprint: "e5", type: "deprecation", name: "UnloadHandler", document: "/", blocked: "", source: "https://cdn.example/old.js", line: null, column: null, disposition: "", message: "Unload event listeners are deprecated.", browser: null, count: 3, first_seen: iso(nowMs - 9e6), last_seen: iso(nowMs - 9e6) },
];

/** @param {string} path @param {URLSearchParams} query @param {Scene} scene @returns {object[] | null} */
export function rowsOf(path, query, scene, hasApp = false) {
  const empty = scene === "empty";
  const from = Date.parse(query.get("from") ?? "") / 1000;
  const to = Date.parse(query.get("to") ?? "") / 1000;
  const step = Number(query.get("step") ?? 60);
  const times = [];
  for (let t = Math.floor(from / step) * step; t < to; t += step) times.push(t);
  switch (path) {
    case "/api/v1/traffic": return empty ? [] : times.filter((_, i) => i < 40 || i > 52).map((t) => trafficRow(t, step, hasApp));
    case "/api/v1/visitors": return empty ? [] : times.map((t) => visitorRow(t, step));
    case "/api/v1/pages": return empty ? [] : PAGES.map((row) => ({ ...row, visitors: row.visitors * 31, pageviews: row.pageviews * 37 }));
    case "/api/v1/sources": return empty ? [] : SOURCES.map((row) => ({ ...row, visitors: row.visitors * 31, pageviews: row.pageviews * 37 }));
    case "/api/v1/devices": return empty ? [] : [{ key: "desktop", visitors: 812, pageviews: 2210 }, { key: "mobile", visitors: 644, pageviews: 1390 }, { key: "tablet", visitors: 38, pageviews: 71 }];
    case "/api/v1/countries": return [];
    case "/api/v1/events": return empty ? [] : [{ name: "checkout", count: 4_312, visitors: 1_207 }, { name: "<b>signup</b>", count: 17, visitors: 0 }];
    case "/api/v1/vitals": return empty ? [] : vitalRows(query.get("by") ?? "page");
    case "/api/v1/errors": return empty ? [] : errorsOf(Date.now()).map((row, i) => ({ ...row, first_seen: iso(Date.now() - 8.64e7), resolved: i === 1 }));
    case "/api/v1/reports": return empty ? [] : reportsOf(Date.now());
    default: return null;
  }
}

/** @param {number} t @param {number} step @param {boolean} hasApp */
function trafficRow(t, step, hasApp) {
  const day = 0.55 + 0.45 * Math.sin(((t % 86_400) / 86_400) * 2 * Math.PI - 1.9);
  const requests = Math.round(day * 9 * step * (0.85 + 0.3 * noise(t)));
  return {
    t: iso(t * 1000), requests, errors: Math.round(requests * 0.002 * noise(t + 5)),
    p50_ms: round(0.2 + 0.05 * noise(t)), p95_ms: round(1.1 + noise(t + 1)), p99_ms: round(4 + 9 * noise(t + 2)),
    refused: Math.round(3 * noise(t + 3)), bytes: requests * 18_000,
    upstream_p50_ms: hasApp ? round(11 + 3 * noise(t + 4)) : null, upstream_p95_ms: hasApp ? round(60 + 40 * noise(t + 5)) : null,
    ours_p50_ms: hasApp ? round(0.2 + 0.1 * noise(t + 6)) : null, ours_p95_ms: hasApp ? round(0.8 + 0.4 * noise(t + 7)) : null,
  };
}

/** @param {number} t @param {number} step */
function visitorRow(t, step) {
  const day = 0.55 + 0.45 * Math.sin(((t % 86_400) / 86_400) * 2 * Math.PI - 1.9);
  const pageviews = Math.round((day * step * (0.8 + 0.4 * noise(t))) / 26);
  const visitors = Math.round(pageviews * 0.46);
  return { t: iso(t * 1000), visitors, pageviews, bounces: Math.round(visitors * 0.4), engaged_ms: pageviews * 38_000 };
}

/** @param {string} by */
function vitalRows(by) {
  if (by === "site") return VITALS.map((row) => ({ key: null, ...row }));
  const keys = { page: PAGES.map((row) => row.key), device: ["desktop", "mobile"], release: ["2024-11-20", "2024-11-14", null] }[by] ?? [];
  return keys.flatMap((key, i) => VITALS.filter((_, j) => (i + j) % 7 !== 6).map((row) => ({ key, ...row, p75: round((row.p75 ?? 0) * (1 + i * 0.12)) })));
}
