// The examples of the README, run as they stand there, one after the other, against a running server.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Server } from "./server.mjs";

test("the examples of the README work", async (t) => {
  const server = await Server.start();
  t.after(() => server.close());
  const key = await server.key("jobs,record,read");
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const blocks = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
  assert.ok(blocks.length >= 5);
  const program = blocks.join("\n")
    .replaceAll('"https://example.org"', JSON.stringify(server.url))
    .replaceAll('from "mainstay"', `from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)}`);
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { env: { ...process.env, MAINSTAY_KEY: key }, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill());
  let told = "";
  child.stdout.on("data", (text) => { told += text; });
  child.stderr.on("data", (text) => { told += text; });
  const closed = once(child, "close");
  // Nobody works on the queue: the example's job ends by being cancelled.
  const end = Date.now() + 30_000;
  while ((await server.count("reports", "delayed")) === 0) assert.ok(Date.now() < end && child.exitCode === null, told);
  await server.run("jobs", "cancel", "reports", "1");
  const [code] = await closed;
  assert.equal(code, 0, told);
  assert.match(told, /cancelled[^\n]*\n404 not-found Queue reprots not found undefined/);
  assert.equal(await server.count("reports", "waiting"), 2);
  const rows = await server.read("/api/v1/events", key);
  assert.deepEqual(rows.map((row) => row.name).sort(), ["checkout", "revenue", "signup"]);
});
