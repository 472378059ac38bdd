//! What a page of a site asks of Mainstay is on no list of those who block trackers: it is the site's own.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { StaticNetFilteringEngine } from "@gorhill/ubo-core";

const PAGE = "https://site.example/blog/";

let engine;
before(async () => {
  const folder = process.env.MAINSTAY_FILTER_LISTS;
  assert.ok(folder, "MAINSTAY_FILTER_LISTS names no folder: `scripts/setup test` makes it, scripts/environment names it");
  const lists = ["easylist.txt", "easyprivacy.txt"].map(async (name) => ({
    name,
    raw: await readFile(join(folder, name), "utf8"),
  }));
  engine = await StaticNetFilteringEngine.create();
  await engine.useLists(await Promise.all(lists));
});

const isBlocked = (path, type) =>
  engine.matchRequest({ originURL: PAGE, url: new URL(path, PAGE).href, type }) === 1;

test("nothing that a page asks of us is blocked", () => {
  for (const [path, type] of [
    ["/_mainstay/m.js", "script"],
    ["/_mainstay/m.js?v=1f0a9c3b", "script"],
    ["/_mainstay/m.lite.js?v=1f0a9c3b", "script"],
    ["/_mainstay/events", "ping"],
    ["/_mainstay/events", "xhr"],
    ["/_mainstay/reports", "ping"],
    ["/_mainstay/reports", "csp_report"],
  ])
    assert.ok(!isBlocked(path, type), `${path} as ${type}`);
});

test("the lists are there: names that are known for it are blocked even on the site itself", () => {
  for (const path of ["/beacon.js", "/matomo.js", "/js/plausible.js"]) assert.ok(isBlocked(path, "script"), path);
});
