// What an app records, against a running server.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { createClient, MainstayError } from "../dist/index.js";
import { Server, Way } from "./server.mjs";

/** @type {Server} */
let server;
/** @type {string} */
let key;

before(async () => {
  server = await Server.start();
  key = await server.key("record,read");
});
after(() => server.close());

/** Sends by `flush` alone, unless told otherwise; errors are kept. */
function clientOf(more = {}) {
  /** @type {MainstayError[]} */
  const errors = [];
  const mainstay = createClient({ url: server.url, key, flushInterval: 3_600_000, retries: 0, onError: (error) => errors.push(error), ...more });
  return { mainstay, errors };
}

/** How often a named event is there. @param {string} name */
async function countOf(name) {
  const rows = await server.read("/api/v1/events", key);
  return rows.find((row) => row.name === name)?.count ?? 0;
}

test("everything an app records arrives where it belongs", async () => {
  const { mainstay, errors } = clientOf();
  mainstay.recordMetric({ type: "counter", name: "orders", value: 2, labels: { plan: "pro" } });
  mainstay.recordMetric({ type: "gauge", name: "stock", value: 42 });
  mainstay.recordBusinessEvent("checkout", { items: 3, gift: false }, { user: "u-17", revenue: { amount: 59.9, currency: "EUR" } });
  mainstay.recordUserSignup("newsletter", "pro");
  mainstay.recordUserSignup();
  mainstay.recordRevenue(-9.5, "EUR", { properties: { reason: "refund" } });
  mainstay.recordApiUsage("/v1/items", "free", "sdk", 12);
  mainstay.recordError(new RangeError("too far"), { release: "1.4.2" });
  mainstay.recordError("only words");
  await mainstay.flush();
  assert.deepEqual(errors, []);
  const metrics = await server.metrics();
  for (const line of ['app_orders_total{plan="pro"} 2', "app_stock 42", 'user_signups_total{source="newsletter",plan_type="pro"} 1', 'api_usage_total{endpoint="/v1/items",api_key_type="free",client_type="sdk"} 12', 'revenue{currency="EUR"} 50.4']) {
    assert.ok(metrics.includes(line), line);
  }
  assert.equal(await countOf("checkout"), 1);
  assert.equal(await countOf("signup"), 2);
  const seen = await server.read("/api/v1/errors", key);
  assert.deepEqual(seen.map((row) => [row.name, row.message]).sort(), [["Error", "only words"], ["RangeError", "too far"]]);
});

test("records go together and after their time, without being asked", async (t) => {
  const way = await Way.to(server.url);
  t.after(() => way.close());
  const { mainstay } = clientOf({ url: way.url, flushInterval: 50 });
  for (let i = 0; i < 450; i += 1) mainstay.recordBusinessEvent("together");
  const end = Date.now() + 20_000;
  while ((await countOf("together")) < 450) assert.ok(Date.now() < end, "never");
  assert.equal(way.seen.length, 3, "200, 200 and 50");
});

test("what is wrong is dropped and named, and the others arrive", async () => {
  const { mainstay, errors } = clientOf();
  mainstay.recordBusinessEvent("good-before");
  mainstay.recordBusinessEvent("bad", /** @type {any} */ ({ nested: { a: 1 } }));
  mainstay.recordUserSignup("good-signup");
  mainstay.recordBusinessEvent("good-after");
  await mainstay.flush();
  assert.deepEqual(errors.map((error) => [error.status, error.field]), [[400, "events[1].properties"]]);
  assert.deepEqual([await countOf("good-before"), await countOf("bad"), await countOf("good-after")], [1, 0, 1]);
});

test("a request that is refused as a whole is sent in parts, until what is wrong is found", async (t) => {
  const way = await Way.to(server.url);
  t.after(() => way.close());
  const { mainstay, errors } = clientOf({ url: way.url });
  const refuse = (/** @type {import("node:http").ServerResponse} */ reply) => reply.writeHead(413).end('{"detail":"The body is too large"}');
  way.next.push(refuse, refuse, refuse);
  for (let i = 0; i < 8; i += 1) mainstay.recordBusinessEvent("parts");
  await mainstay.flush();
  assert.deepEqual(errors.map((error) => error.status), [], "8, 4, 2, and then 1 at a time");
  assert.equal(JSON.parse(way.seen[3].body).events.length, 1);
  assert.equal(await countOf("parts"), 8);
  way.next.push(refuse);
  mainstay.recordBusinessEvent("alone");
  await mainstay.flush();
  assert.deepEqual(errors.map((error) => error.status), [413]);
  assert.equal(await countOf("alone"), 0);
});

test("an answer that is lost makes nothing count twice", async (t) => {
  const way = await Way.to(server.url);
  t.after(() => way.close());
  const { mainstay } = clientOf({ url: way.url, retries: 3 });
  way.next.push("lose", "lose");
  mainstay.recordBusinessEvent("once");
  mainstay.recordMetric({ type: "counter", name: "once", value: 1 });
  await mainstay.flush();
  assert.equal(way.seen.length, 3);
  assert.equal(await countOf("once"), 1);
  assert.match(await server.metrics(), /^app_once_total 1$/m);
  const { mainstay: later } = clientOf({ url: way.url });
  way.next.push("lose");
  later.recordBusinessEvent("once-later");
  later.recordMetric({ type: "counter", name: "once_later", value: 1 });
  await assert.rejects(later.flush(), (/** @type {MainstayError} */ error) => error.code === "unreachable");
  await later.flush();
  assert.equal(await countOf("once-later"), 1);
  assert.match(await server.metrics(), /^app_once_later_total 1$/m);
});

test("while the server is away records wait, within a bound, and arrive later", async () => {
  const { mainstay, errors } = clientOf({ recordsMax: 3 });
  await server.end("SIGTERM");
  for (let i = 0; i < 5; i += 1) mainstay.recordBusinessEvent("patient");
  assert.deepEqual(errors.map((error) => error.code), ["full", "full"]);
  await assert.rejects(mainstay.flush(), (/** @type {MainstayError} */ error) => error.code === "unreachable");
  await server.start();
  await mainstay.flush();
  assert.equal(await countOf("patient"), 3);
});

test("what flush has answered is there after kill -9", async () => {
  const { mainstay } = clientOf();
  for (let i = 0; i < 20; i += 1) mainstay.recordBusinessEvent("durable");
  await mainstay.flush();
  await server.end("SIGKILL");
  await server.start();
  assert.equal(await countOf("durable"), 20);
});

test("a refused key loses nothing, is told of, and stands in no error", async (t) => {
  const way = await Way.to(server.url);
  t.after(() => way.close());
  const { mainstay } = clientOf({ url: way.url });
  way.next.push((reply) => reply.writeHead(401, { "content-type": "application/problem+json" }).end('{"type":"urn:mainstay:problem:unauthenticated","detail":"This key was revoked."}'));
  mainstay.recordBusinessEvent("held");
  await assert.rejects(mainstay.flush(), (/** @type {MainstayError} */ error) => error.status === 401 && !error.message.includes(key));
  await mainstay.flush();
  assert.equal(await countOf("held"), 1);
});

test("a record that is too large, or no JSON, is dropped and told of at once", () => {
  const { mainstay, errors } = clientOf();
  mainstay.recordBusinessEvent("large", { text: "x".repeat(300_000) });
  assert.match(errors[0]?.message ?? "", /too large/);
  mainstay.recordBusinessEvent("no JSON", /** @type {any} */ ({ big: 1n }));
  assert.match(errors[1]?.message ?? "", /no JSON/);
});

test("in the background nothing is tried again but after a time that holds up no process", async () => {
  let asked = 0;
  const away = () => {
    asked += 1;
    return Promise.reject(new TypeError("away"));
  };
  const error = await new Promise((resolve) => {
    createClient({ url: server.url, key, flushInterval: 10, fetch: away, onError: resolve }).recordBusinessEvent("x");
  });
  assert.equal(error.code, "unreachable");
  assert.equal(asked, 1);
});

test("no process lives on for what waits, and by default a warning tells what was not sent", async () => {
  const program = `
    import { createClient } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
    const mainstay = createClient({ url: "http://127.0.0.1:9", key: "ms_key", flushInterval: 20 });
    mainstay.recordBusinessEvent("x");
    if (process.argv[1] === "stay") setTimeout(() => {}, 500);
  `;
  const run = async (/** @type {string[]} */ ...args) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", program, ...args], { stdio: ["ignore", "ignore", "pipe"], timeout: 20_000 });
    let told = "";
    child.stderr.on("data", (text) => { told += text; });
    const [code] = await once(child, "close");
    return { code, told };
  };
  assert.deepEqual(await run(), { code: 0, told: "" });
  const { code, told } = await run("stay");
  assert.equal(code, 0);
  assert.match(told, /MainstayWarning: records: http:\/\/127\.0\.0\.1:9 cannot be reached/);
  assert.ok(!told.includes("ms_key"));
});
