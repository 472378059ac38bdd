// The arithmetic under the panels: the live window, gaps, formats, orders.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";
import { snapshotOf } from "./stand/data.mjs";

/** @type {import("vite").ViteDevServer} */
let vite;
/** @type {typeof import("../src/timeline.ts")} */
let timeline;
/** @type {typeof import("../src/format.ts")} */
let format;
/** @type {typeof import("../src/order.ts")} */
let order;
/** @type {typeof import("../src/steps.ts")} */
let steps;
/** @type {typeof import("../src/wire.ts")} */
let wire;

before(async () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  vite = await createServer({ root, server: { middlewareMode: true, hmr: false, ws: false, watch: null }, optimizeDeps: { noDiscovery: true }, logLevel: "error", appType: "custom" });
  const load = (/** @type {string} */ name) => vite.ssrLoadModule(`/src/${name}.ts`);
  timeline = /** @type {typeof timeline} */ (await load("timeline"));
  format = /** @type {typeof format} */ (await load("format"));
  order = /** @type {typeof order} */ (await load("order"));
  steps = /** @type {typeof steps} */ (await load("steps"));
  wire = /** @type {typeof wire} */ (await load("wire"));
});

after(() => vite.close());

const T0 = 1_700_000_000;

/** @param {number} offset seconds after T0 */
const at = (offset) => snapshotOf("busy", (T0 + offset) * 1000, "default");

/** @param {[number, number][]} arrivals offset and sequence */
function lineOf(arrivals) {
  return arrivals.reduce((line, [offset, sequence]) => timeline.append(line, at(offset), sequence), timeline.emptyTimeline());
}

test("an outage is a gap of nulls, never a line across it", () => {
  const line = lineOf([[0, 1], [1, 2], [5, 6]]);
  assert.deepEqual(line.t, [0, 1, 2, 3, 4, 5].map((s) => T0 + s));
  assert.deepEqual(line.requests.slice(2, 5), [null, null, null]);
  assert.notEqual(line.requests[5], null);
});

test("consecutive snapshots stay neighbours when a timer skips or repeats a wall second", () => {
  assert.deepEqual(lineOf([[0, 1], [2, 2], [3, 3]]).t, [T0, T0 + 1, T0 + 2]);
  assert.deepEqual(lineOf([[0, 1], [0, 2], [1.2, 3]]).t, [T0, T0 + 1, T0 + 2]);
});

test("a repeated second replaces its entry", () => {
  const line = lineOf([[0, 1], [1, 2], [1, 9]]);
  assert.deepEqual(line.t, [T0, T0 + 1]);
});

test("the window holds five minutes, whatever arrives", () => {
  const many = lineOf(Array.from({ length: 400 }, (_, i) => /** @type {[number, number]} */ ([i, i])));
  assert.equal(many.t.length, timeline.WINDOW_S);
  assert.equal(many.t.at(-1), T0 + 399);
  const late = timeline.append(many, at(90_000), 9);
  assert.equal(late.t.length, timeline.WINDOW_S);
  assert.equal(late.requests.filter((value) => value !== null).length, 1);
});

test("history becomes aligned columns, short ones padded with null", () => {
  const line = timeline.fromHistory({ t0: T0, step_s: 1, requests: [1, 2, 3], errors: [0, 0, 1], refused: [0, 0, 0], p50_ms: [null, 0.2], p95_ms: [], p99_ms: [1, 2, 3], upstream_p50_ms: [7], upstream_p95_ms: [], ours_p50_ms: [], ours_p95_ms: [] });
  assert.deepEqual(line.p50, [null, 0.2, null]);
  assert.deepEqual(line.p95, [null, null, null]);
  assert.deepEqual(line.appP50, [7, null, null]);
  const next = timeline.append(line, at(4), 77);
  assert.deepEqual(next.t, [0, 1, 2, 3].map((s) => T0 + s), "the first snapshot joins history without a hole");
});

test("an error rate needs requests", () => {
  const quiet = { ...timeline.emptyTimeline(), t: [T0], requests: [0], errors: [0] };
  assert.equal(timeline.errorShare(quiet, 60), null);
  assert.equal(timeline.errorShare({ ...quiet, requests: [4], errors: [1] }, 60), 0.25);
  assert.equal(timeline.errorShare(timeline.emptyTimeline(), 60), null);
});

test("zero is zero, missing is a dash", () => {
  for (const text of [format.count, format.rate, format.percent, format.milliseconds, format.bytes, format.duration]) {
    assert.equal(text(null), "–");
    assert.equal(text(undefined), "–");
    assert.match(text(0), /^0/);
  }
  assert.equal(format.vital("CLS", null), "–");
  assert.equal(format.vital("CLS", 0), "0");
});

test("numbers keep their meaning", () => {
  /** @type {[string, string][]} */
  const cases = [
    [format.milliseconds(0), "0 ms"], [format.milliseconds(0.0034), "3 µs"], [format.milliseconds(0.0996), "100 µs"], [format.milliseconds(0.214), "0.21 ms"], [format.milliseconds(7.44), "7.4 ms"], [format.milliseconds(1240), "1.24 s"],
    [format.vital("LCP", 812.5), "813 ms"], [format.vital("CLS", 0.0534), "0.053"], [format.percent(0.00003), "< 0.1 %"],
    [format.count(12_345), "12,345"], [format.count(2_690_000), "2.69M"], [format.bytes(41_812_345), "41.8 MB"],
    [format.millisecondsTick(0.01), "10 µs"], [format.millisecondsTick(0.1), "0.1 ms"], [format.millisecondsTick(1000), "1 s"], [format.rate(0.04), "0.04"],
  ];
  for (const [actual, expected] of cases) assert.equal(actual, expected);
});

test("a missing step is a gap", () => {
  const row = (/** @type {number} */ s) => ({ t: new Date((T0 + s) * 1000).toISOString() });
  const { t, rows } = steps.withGaps([row(0), row(60), row(240)], 60);
  assert.deepEqual(t, [0, 60, 120, 180, 240].map((s) => T0 + s));
  assert.deepEqual(rows.map((each) => each === null), [false, false, true, true, false]);
});

test("keys come by the samples of all their vitals, unnamed ones among them", () => {
  const row = { key: /** @type {string | null} */ ("a"), name: /** @type {const} */ ("LCP"), p75: 1800, rating: "good", good: 20, needs_improvement: 0, poor: 0, samples: 20 };
  const rows = [row, { ...row, key: null }, { ...row, key: null, name: /** @type {const} */ ("CLS") }, { ...row, key: "b", samples: 30 }];
  assert.deepEqual(order.keysBySamples(rows), [null, "b", "a"]);
});

test("errors come by visitors, then by occurrences, open ones first", () => {
  const row = { fingerprint: "", name: "Error", message: "", last_seen: "", count: 1, visitors: 1 };
  const rows = [
    { ...row, fingerprint: "once" }, { ...row, fingerprint: "done", visitors: 9, resolved: true },
    { ...row, fingerprint: "often", count: 40 }, { ...row, fingerprint: "many", visitors: 3, resolved: false },
  ];
  assert.deepEqual(order.rankErrors(rows).map(({ fingerprint }) => fingerprint), ["many", "often", "once", "done"]);
  assert.equal(rows[0]?.fingerprint, "once", "what was read stays as it is");
});

test("seconds in which no app answered are gaps in its lines", () => {
  const copies = [{ site: "default", url: "http://a", state: "healthy", in_flight: 0, requests: 1, errors: 0, latency_ms: 1, since: "" }];
  const line = timeline.append(timeline.append(timeline.emptyTimeline(), at(0), 1), snapshotOf("busy", (T0 + 1) * 1000, "default", ["default"], copies), 2);
  assert.equal(line.appP50[0], null);
  assert.ok((line.appP95[1] ?? 0) > (line.oursP95[1] ?? 0) && line.oursP50[1] !== null);
});

test("frames of another shape are refused whole", () => {
  assert.ok(wire.isSnapshot(at(0)));
  assert.ok(!wire.isSnapshot({ ...at(0), pages: null }));
  assert.ok(!wire.isSnapshot(wire.parseJson("{not json")));
});
