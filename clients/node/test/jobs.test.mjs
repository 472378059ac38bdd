// Jobs, against a running server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { createClient, MainstayError } from "../dist/index.js";
import { Server, Way } from "./server.mjs";

/** @type {Server} */
let server;
/** @type {string} */
let key;

before(async () => {
  server = await Server.start();
  key = await server.key("jobs");
});
after(() => server.close());

const clientOf = (more = {}) => createClient({ url: server.url, key, ...more });

/** The error of what has to fail. @param {Promise<unknown>} promise @returns {Promise<MainstayError>} */
async function failure(promise) {
  const error = await promise.then(() => null, (error) => error);
  assert.ok(error instanceof MainstayError, inspect(error));
  assert.ok(!inspect(error, { depth: 9 }).includes(key), "the key is in no error");
  return error;
}

/** How many jobs wait in the queue. */
const waiting = (queue = "reports") => server.count(queue, "waiting");

test("a job is added with everything that is said of it, and asked for", async () => {
  const mainstay = clientOf();
  const { id } = await mainstay.addJob("reports", "monthly", { month: "2026-11" }, {
    id: "report-2026-11", priority: 7, attempts: 5, delay: 3_600_000, backoff: { type: "fixed", delay: 100 }, timeout: 5_000, unique: { key: "november", debounce: true },
  });
  assert.equal(id, "report-2026-11");
  const job = await mainstay.getJob("reports", id);
  assert.equal(job.queue, "reports");
  assert.equal(job.type, "monthly");
  assert.equal(job.status, "delayed");
  assert.equal(job.priority, 7);
  assert.equal(job.attempts_max, 5);
  assert.ok(Math.abs(Date.parse(job.run_at) - Date.parse(job.created_at) - 3_600_000) < 1_000);
  const again = await mainstay.addJob("reports", "monthly", null, { unique: { key: "november", debounce: true } });
  assert.equal(again.id, id, "one of this key is there");
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert.notEqual((await mainstay.addJob("reports", "plain", undefined, { traceparent: trace })).id, id);
});

test("several are added as a whole or not at all", async () => {
  const mainstay = clientOf();
  const added = await mainstay.addJobs("reports", [{ type: "a", payload: 1 }, { type: "b", id: "the-second" }, { type: "c" }]);
  assert.equal(added.length, 3);
  assert.equal(added[1].id, "the-second");
  const types = await Promise.all(added.map(async ({ id }) => (await mainstay.getJob("reports", id)).type));
  assert.deepEqual(types, ["a", "b", "c"]);
  const before = await waiting();
  const error = await failure(mainstay.addJobs("reports", [{ type: "d" }, { type: "e", attempts: 0 }]));
  assert.deepEqual([error.status, error.field], [400, "attempts"]);
  assert.equal(await waiting(), before);
  assert.deepEqual(await mainstay.addJobs("reports", []), []);
});

test("a repeated idempotency key is the same job", async () => {
  const first = await clientOf().addJob("reports", "once", { a: 1 }, { idempotencyKey: "order-17" });
  const second = await clientOf().addJob("reports", "once", { a: 1 }, { idempotencyKey: "order-17" });
  assert.equal(second.id, first.id);
  const other = await clientOf().addJob("reports", "once", { a: 1 });
  assert.notEqual(other.id, first.id);
});

test("the kinds of the box go to their queues, of which one that is not there is named", async () => {
  const mainstay = clientOf();
  /** @type {[string, Promise<unknown>][]} */
  const adding = [
    ["email", mainstay.addEmailJob({ to: "ada@example.org", subject: "Your order", template: "order", data: { items: 3 } })],
    ["analytics", mainstay.addAnalyticsJob({ event: "checkout", properties: { items: 3 }, timestamp: Date.now() })],
    ["security-scan", mainstay.addSecurityScanJob({ target: "https://example.org", scanType: "full" })],
  ];
  for (const [queue, added] of adding) {
    const { id } = /** @type {{ id: string }} */ (await added);
    assert.equal((await mainstay.getJob(queue, id)).queue, queue);
  }
  const error = await failure(mainstay.addJob("gone", "t"));
  assert.deepEqual([error.status, error.code, error.detail], [404, "not-found", "Queue gone not found"]);
});

test("waiting ends with the job, with the time, or when it is called off", async () => {
  const mainstay = clientOf();
  const { id } = await mainstay.addJob("unknown", "nobody-knows-this");
  const job = await mainstay.waitForJob("unknown", id, { timeout: 30_000 });
  assert.equal(job.status, "dead");
  assert.ok(job.error);
  const { id: left } = await mainstay.addJob("reports", "left");
  const late = await failure(mainstay.waitForJob("reports", left, { timeout: 300 }));
  assert.equal(late.code, "timeout");
  assert.match(late.message, /was not finished within 300 ms/);
  const stop = new AbortController();
  const called = mainstay.waitForJob("reports", left, { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(called, /^Error: enough$/);
  const cancelled = mainstay.waitForJob("reports", left, { timeout: 30_000 });
  await server.run("jobs", "cancel", "reports", left);
  assert.equal((await cancelled).status, "dead");
});

test("what is wrong is said: the field, the key, its scope, another address", async (t) => {
  const unknown = await failure(clientOf().addJob("reports", "x", null, /** @type {any} */ ({ atempts: 3 })));
  assert.deepEqual([unknown.status, unknown.code], [400, "invalid"]);
  const missing = await failure(clientOf().getJob("reports", "no-such-job"));
  assert.equal(missing.status, 404);
  const wrong = await failure(clientOf({ key: `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}` }).addJob("reports", "x"));
  assert.equal(wrong.status, 401);
  assert.ok(wrong.detail.length > 20, wrong.detail);
  const scope = await failure(clientOf({ key: await server.key("record") }).addJob("reports", "x"));
  assert.equal(scope.status, 403);
  assert.match(scope.detail, /jobs/);
  const way = await Way.to(server.url);
  t.after(() => way.close());
  way.next.push((reply) => reply.writeHead(308, { location: "https://example.org/" }).end());
  const moved = await failure(clientOf({ url: way.url }).addJob("reports", "x"));
  assert.match(moved.message, /leads elsewhere/);
  assert.equal(way.seen.length, 1);
});

test("the options are checked, and the key is shown nowhere", () => {
  assert.throws(() => clientOf({ url: "example.org" }), /url is to/);
  assert.throws(() => clientOf({ url: "ftp://example.org" }), /https/);
  assert.throws(() => clientOf({ url: "https://ada:secret@example.org" }), (/** @type {Error} */ error) => /name or password/.test(error.message) && !error.message.includes("secret"));
  assert.throws(() => clientOf({ key: undefined }), /mainstay key create/);
  assert.throws(() => clientOf({ key: "two words" }), (/** @type {Error} */ error) => !error.message.includes("words"));
  assert.throws(() => clientOf({ timeout: -1 }), /timeout/);
  const mainstay = clientOf();
  assert.ok(!inspect(mainstay, { depth: 9, showHidden: true }).includes(key));
  assert.ok(!JSON.stringify(mainstay).includes(key));
});

test("a refusal for a while is tried again after the time it names, with the same idempotency key", async (t) => {
  const way = await Way.to(server.url);
  t.after(() => way.close());
  way.next.push((reply) => reply.writeHead(503, { "retry-after": "1", "content-type": "application/problem+json" }).end('{"type":"urn:mainstay:problem:unavailable","detail":"The store is away"}'));
  const { id } = await clientOf({ url: way.url }).addJob("reports", "later");
  assert.equal((await clientOf().getJob("reports", id)).type, "later");
  assert.equal(way.seen.length, 2);
  assert.ok(way.seen[1].at - way.seen[0].at >= 1_000, "not before the second that it names");
  assert.match(String(way.seen[0].headers["idempotency-key"]), /^[\da-f-]{36}$/);
  assert.equal(way.seen[0].headers["idempotency-key"], way.seen[1].headers["idempotency-key"]);
  way.next.push((reply) => reply.writeHead(503, { "retry-after": "3600" }).end('{"detail":"The store is away"}'));
  const long = await failure(clientOf({ url: way.url }).addJob("reports", "never"));
  assert.deepEqual([long.status, long.retryAfterMs, long.detail], [503, 3_600_000, "The store is away"]);
  assert.equal(way.seen.length, 3, "an hour is not waited for");
});

test("an answer that is lost makes no second job", async (t) => {
  const way = await Way.to(server.url);
  t.after(() => way.close());
  const before = await waiting();
  way.next.push("lose", "lose");
  const { id } = await clientOf({ url: way.url }).addJob("reports", "lost");
  assert.equal(way.seen.length, 3);
  assert.equal(await waiting(), before + 1);
  assert.equal((await clientOf().getJob("reports", id)).type, "lost");
});

test("a server that does not answer is given up after the timeout", async (t) => {
  const way = await Way.to(server.url);
  t.after(() => way.close());
  way.next.push(() => {}, () => {});
  const error = await failure(clientOf({ url: way.url, timeout: 200, retries: 1 }).addJob("reports", "silent"));
  assert.deepEqual([error.status, error.code], [0, "timeout"]);
  assert.equal(way.seen.length, 2);
});

test("what was answered is there after kill -9, and a server that is away is waited for", async () => {
  const mainstay = clientOf();
  const { id } = await mainstay.addJob("reports", "kept", { a: 1 });
  await server.end("SIGKILL");
  const away = await failure(clientOf({ retries: 0 }).getJob("reports", id));
  assert.deepEqual([away.status, away.code], [0, "unreachable"]);
  const [job] = await Promise.all([clientOf({ retries: 30 }).getJob("reports", id), server.start()]);
  assert.deepEqual([job.type, job.status], ["kept", "waiting"]);
});
