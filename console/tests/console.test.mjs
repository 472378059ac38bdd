// The built console in Chromium under the real CSP, against the stand.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { launch, open } from "./stand/browser.mjs";
import { copiesOf } from "./stand/data.mjs";
import { Stand } from "./stand/server.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Stand} */
let stand;
/** @type {string} */
let address;
/** @type {(() => Promise<void>)[]} */
let closing = [];

before(async () => { browser = await launch(); });
after(() => browser.close());

beforeEach(async () => {
  stand = new Stand();
  address = await stand.listen();
});

afterEach(async () => {
  await Promise.all(closing.map((close) => close()));
  closing = [];
  await stand.close();
});

/**
 * @param {import("playwright-core").BrowserContextOptions} [options]
 * @param {(page: import("playwright-core").Page) => Promise<void>} [prepare]
 */
async function show(path = "/", options = {}, prepare = undefined) {
  const opened = await open(browser, address + path, options, prepare);
  closing.push(opened.close);
  return opened;
}

/** @param {import("playwright-core").Page} page @param {string} tile */
const valueOf = (page, tile) => page.locator(`[data-tile=${tile}] [data-value]`);

/** @param {import("playwright-core").Page} page */
const live = (page) => page.locator("[data-tile=visitors]").filter({ hasText: "23" }).waitFor();

/** Waits until `check` holds. @param {() => unknown} check */
async function until(check) {
  const end = Date.now() + 15_000;
  while (!check()) {
    if (Date.now() > end) throw new Error(`never: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("live view", () => {
  test("shows what the stream says, without a fault or a foreign request", async () => {
    const { page, faults } = await show();
    await live(page);
    assert.equal(await valueOf(page, "pageviews").textContent(), "192");
    assert.match(await page.locator("[data-tile=refused]").innerText(), /22 since start/);
    const pages = page.locator("[data-panel=pages] tbody tr");
    assert.equal(await pages.count(), 8);
    assert.match(await pages.nth(1).innerText(), /\/work\/lighthouse-identity\s+22\s+27/);
    assert.match(await page.locator("[data-panel=sources]").innerText(), /news\.ycombinator\.com\s+11\s+14/);
    assert.match(await page.locator("[data-vital=LCP]").innerText(), /1\.83 s[\s\S]*Good[\s\S]*good ≤ 2\.5 · poor > 4 s/);
    assert.match(await page.locator("[data-vital=INP]").innerText(), /248 ms[\s\S]*Needs improvement/);
    assert.match(await page.locator("[data-vital=CLS]").innerText(), /0\.31[\s\S]*Poor/);
    assert.match(await page.locator("[data-panel=server]").innerText(), /12 %[\s\S]*41\.8 MB/);
    assert.match(await page.title(), /23 now/);
    assert.equal(await page.locator("canvas").count(), 2);
    assert.deepEqual(faults, []);
  });

  test("follows the stream second by second", async () => {
    const { page } = await show();
    await live(page);
    stand.scene = "empty";
    await valueOf(page, "visitors").filter({ hasText: /^0$/ }).waitFor();
    await page.getByText("No visits yet.").first().waitFor();
  });

  test("shows text of visitors as text", async () => {
    const { page, faults } = await show();
    await page.getByText("<img src=x onerror=alert(1)> is not defined").waitFor();
    assert.equal(await page.locator("[data-panel=js-errors] img").count(), 0);
    assert.deepEqual(faults, []);
  });

  test("without data it says the next step and invents no number", async () => {
    stand.scene = "empty";
    const { page, faults } = await show();
    await page.getByText("Open your site at http://127.0.0.1:8080 and watch this page.").waitFor();
    await page.getByText(/^Vitals arrive as a visitor loads a page/).waitFor();
    await page.getByText("No request in the last 5 minutes.").waitFor();
    assert.equal(await valueOf(page, "visitors").textContent(), "0");
    assert.equal(await valueOf(page, "errors").textContent(), "–");
    assert.equal(await page.locator("[data-vital=LCP] [data-value]").textContent(), "–");
    assert.deepEqual(faults, []);
  });

  test("draws the chart's line in the plot, and nothing where nothing was measured", async () => {
    const { page } = await show();
    await live(page);
    assert.ok(await inked(page, "requests") > 200, "a line is drawn");
    stand.scene = "empty";
    await page.reload();
    await page.getByText("No request to time yet.").waitFor();
    assert.equal(await inked(page, "latency"), 0);
  });

  test("a chart is also a table, newest first", async () => {
    const { page } = await show();
    await live(page);
    await page.getByRole("button", { name: "Requests per second as a table" }).click();
    const table = page.getByRole("table", { name: "Requests per second, newest first" });
    await table.waitFor();
    assert.equal(await table.locator("tbody tr").count(), 120);
    await page.getByRole("button", { name: "Requests per second as a table" }).click();
    await page.locator("[data-panel=requests] canvas").waitFor();
  });

  test("the health badge opens its checks and closes by Escape", async () => {
    const { page } = await show();
    const badge = page.getByRole("button", { name: "Degraded" });
    await badge.click();
    await page.getByText("9 % of the data folder's disk is free").waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("9 % of the data folder's disk is free").waitFor({ state: "hidden" });
    assert.equal(await badge.getAttribute("aria-expanded"), "false");
  });
});

/** Saturated pixels of a chart's canvas: lines have colour, grid and labels nearly none. @param {import("playwright-core").Page} page @param {string} panel */
function inked(page, panel) {
  return page.locator(`[data-panel=${panel}] canvas`).evaluate((canvas) => {
    if (!(canvas instanceof HTMLCanvasElement)) return -1;
    const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
    let colored = 0;
    for (let i = 0; i < data.length; i += 4) {
      const channels = [data[i], data[i + 1], data[i + 2]];
      if (data[i + 3] > 200 && Math.max(...channels) - Math.min(...channels) > 60) colored += 1;
    }
    return colored;
  });
}

describe("stream", () => {
  test("silence shows the stale badge, the next snapshot takes it away", async () => {
    const { page } = await show();
    await live(page);
    assert.equal(await page.locator("[data-stale]").count(), 0);
    stand.pause();
    await page.locator("[data-stale]").filter({ hasText: /Stale · [3-9] s/ }).waitFor();
    stand.resume();
    await page.locator("[data-stale]").waitFor({ state: "detached" });
  });

  test("a connection that stays silent is opened anew", async () => {
    const { page } = await show();
    await live(page);
    const before = stand.resumes.length;
    stand.pause();
    await until(() => stand.resumes.length > before);
    await page.locator("[data-stale]").waitFor();
  });

  test("a dropped connection resumes where it stopped", async () => {
    const { page } = await show();
    await live(page);
    await until(() => stand.streams === 1);
    stand.drop();
    await until(() => stand.resumes.length === 2);
    assert.match(stand.resumes[1] ?? "", /^\d+$/);
    await page.locator("[data-stale]").waitFor({ state: "detached" });
  });

  test("a refused stream is asked for again until it is there", async () => {
    stand.broken.add("/api/v1/live");
    const { page } = await show();
    await page.locator("[data-stale]").waitFor();
    stand.broken.clear();
    await live(page);
  });
});

describe("access", () => {
  test("a 401 leads to the signed-out view, which says how to come back", async () => {
    const { page } = await show("/", {}, (fresh) => fresh.clock.install());
    await live(page);
    stand.signedIn = false;
    stand.drop();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await page.getByText("mainstay admin link").waitFor();
    assert.equal(await page.locator("[data-tile]").count(), 0);
    /** @type {string[]} */
    const later = [];
    page.on("request", (request) => later.push(request.url()));
    await page.clock.fastForward(120_000);
    await page.evaluate(() => fetch("/assets/icon.svg"));
    assert.deepEqual(later, [`${address}/assets/icon.svg`], "nothing asks on behind the view");
  });

  test("never signed in: the same view at once", async () => {
    stand.signedIn = false;
    const { page } = await show();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  });

  test("signing out ends the session on the server", async () => {
    const { page } = await show();
    await live(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You signed out of this console.").waitFor();
    assert.equal(stand.signedIn, false);
  });

  test("the static documents work without script and without a fault", async () => {
    const enter = await show("/enter.html", { javaScriptEnabled: false });
    const form = enter.page.locator("form");
    assert.deepEqual([await form.getAttribute("method"), await form.getAttribute("action")], ["post", "/enter"]);
    assert.equal(await enter.page.locator("input[name=token]").inputValue(), "t0ken");
    const button = enter.page.getByRole("button", { name: "Sign in" });
    assert.equal(await button.evaluate((node) => getComputedStyle(node).cursor), "pointer", "page.css applies");
    const out = await show("/signed-out.html");
    await out.page.getByText("This link was used already.").waitFor();
    await out.page.getByText("mainstay admin link").waitFor();
    assert.deepEqual([...enter.faults, ...out.faults], []);
  });
});

describe("history", () => {
  test("reads the chosen time and shows it", async () => {
    const { page, faults } = await show();
    await live(page);
    await page.getByLabel("7 d").check();
    await page.locator("[data-panel=pages]").filter({ hasText: "2,331" }).waitFor();
    await page.locator("[data-panel=history-visitors] canvas").waitFor();
    const wanted = ["traffic", "visitors", "pages", "sources", "devices", "countries", "events", "vitals", "errors", "reports"];
    for (const name of wanted) {
      const read = stand.reads.find((each) => each.startsWith(`/api/v1/${name}?`));
      assert.ok(read, name);
      const query = new URLSearchParams(read.split("?")[1]);
      const days = (Date.parse(query.get("to") ?? "") - Date.parse(query.get("from") ?? "")) / 8.64e7;
      assert.ok(days >= 7 && days < 7.1, `${name}: ${days} days`);
      assert.equal(query.get("site"), "default");
      assert.ok(Number(query.get("limit")) <= 1000);
    }
    assert.match(page.url(), /#range=7d$/);
    assert.match(await page.locator("[data-vital=LCP]").innerText(), /1\.83 s[\s\S]*Good[\s\S]*482 samples/, "of the whole site");
    await page.getByLabel("By device").check();
    await page.getByRole("table", { name: /each web vital by device/ }).waitFor();
    await page.getByLabel("By release").check();
    await page.getByRole("rowheader", { name: "(none)" }).waitFor();
    await page.getByLabel("Countries").check();
    await page.getByText("They need a country database named in the settings.").waitFor();
    await page.getByLabel("Live", { exact: true }).check();
    await valueOf(page, "pageviews").filter({ hasText: "192" }).waitFor();
    assert.deepEqual(faults, []);
  });

  test("events that pages and the app named stand beside the pages, as text", async () => {
    const { page, faults } = await show("/#range=24h");
    const panel = page.locator("[data-panel=pages]");
    await panel.getByRole("radio", { name: "Events" }).check();
    await panel.getByRole("columnheader", { name: "Times" }).waitFor();
    const rows = await panel.locator("tbody tr").allInnerTexts();
    assert.deepEqual(rows.map((row) => row.split(/\s+/)), [["checkout", "1,207", "4,312"], ["<b>signup</b>", "0", "17"]]);
    await panel.getByRole("radio", { name: "Pages" }).check();
    await panel.filter({ hasText: "Top pages" }).waitFor();
    assert.deepEqual(faults, []);
  });

  test("the errors that most visitors met come first, resolved ones last", async () => {
    const { page } = await show("/#range=24h");
    const panel = page.locator("[data-panel=js-errors]").filter({ hasText: "most visitors first" });
    await panel.locator(".error").nth(2).waitFor();
    const names = await panel.locator(".error-name").allTextContents();
    assert.deepEqual(names, ["UnhandledRejection", "TypeError", "ReferenceError"]);
  });

  test("reports of browsers stand beside the errors, collapsed, as text", async () => {
    const { page, faults } = await show("/#range=24h");
    await page.getByRole("radio", { name: "Reports" }).check();
    const panel = page.locator("[data-panel=reports]");
    await panel.locator(".report").nth(1).waitFor();
    const first = await panel.locator(".report").first().innerText();
    assert.match(first, /10,000[\s\S]*script-src-elem inline · <img src=x[\s\S]*csp-violation, not enforced · \/shop:12 · Firefox 128 on Linux · \d+ s ago/);
    assert.equal(await panel.locator("img").count(), 0);
    await page.getByRole("radio", { name: "Errors" }).check();
    await page.locator("[data-panel=js-errors] .error").first().waitFor();
    assert.deepEqual(faults, []);
  });

  test("a read that fails says why and leaves the others alone", async () => {
    stand.broken.add("/api/v1/sources");
    const { page } = await show("/#range=24h");
    await page.locator("[data-panel=sources]").filter({ hasText: "The store is away" }).waitFor();
    await page.locator("[data-panel=pages]").filter({ hasText: "2,331" }).waitFor();
  });

  test("an empty time says so", async () => {
    stand.scene = "empty";
    const { page } = await show("/#range=30d");
    await page.getByText("No traffic recorded in this time.").first().waitFor();
    assert.equal(await valueOf(page, "requests").textContent(), "0");
    assert.equal(await valueOf(page, "errors").textContent(), "–");
  });
});

describe("sites", () => {
  test("one site has no selector, several have, and choosing one moves the stream", async () => {
    const one = await show();
    await live(one.page);
    assert.equal(await one.page.getByLabel("Site").count(), 0);
    stand.sites = ["default", "shop"];
    const two = await show();
    await two.page.getByLabel("Site").selectOption("shop");
    await two.page.waitForFunction(() => document.title.includes("shop"));
    assert.match(two.page.url(), /#site=shop$/);
  });
});

describe("sites of a running server", () => {
  test("a name that a reload brought is there to choose, and one it took away is left", async () => {
    stand.sites = ["default", "shop"];
    const { page } = await show("/#site=shop");
    await page.waitForFunction(() => document.title.includes("shop"));
    stand.sites = ["default", "shop", "blog"];
    await page.getByLabel("Site").locator("option", { hasText: "blog" }).waitFor({ state: "attached" });
    assert.equal(await page.getByLabel("Site").inputValue(), "shop");
    stand.sites = ["default", "blog"];
    stand.drop();
    await page.waitForFunction(() => document.title.includes("default"), undefined, { timeout: 15_000 });
    assert.deepEqual(await page.getByLabel("Site").locator("option").allTextContents(), ["default", "blog"]);
  });

  test("the history is of the chosen site", async () => {
    stand.sites = ["default", "shop"];
    const { page } = await show("/#range=24h&site=shop");
    await page.locator("[data-panel=pages] tbody tr").first().waitFor();
    assert.ok(stand.reads.length > 9 && stand.reads.every((read) => read.includes("site=shop")), stand.reads.join("\n"));
  });
});

describe("an app", () => {
  test("shows the health of each copy in words and where the time goes", async () => {
    stand.copies = copiesOf("default");
    const { page, faults } = await show();
    await live(page);
    const panel = page.locator("[data-panel=app]");
    assert.match(await panel.innerText(), /2 of 3 copies in use[\s\S]*p50[\s\S]*app\s+13 ms[\s\S]*ours\s+0\.22 ms[\s\S]*p95[\s\S]*84 ms/);
    const copies = await panel.locator(".copy").allInnerTexts();
    assert.match(copies[0] ?? "", /http:\/\/127\.0\.0\.1:3000\s+● Healthy[\s\S]*11 ms · 4 in hand · 48,213 requests\s+since 2 h ago/);
    assert.match(copies[1] ?? "", /▲ Starting/);
    assert.match(copies[2] ?? "", /■ Failing[\s\S]*– · 0 in hand · 12,007 requests, 41 unanswered/);
    await page.getByRole("radio", { name: "Split" }).check();
    await page.getByRole("heading", { name: "Where the time goes" }).nth(0).waitFor();
    await page.getByRole("button", { name: "Where the time goes as a table" }).click();
    const heads = await page.locator("[data-panel=latency] thead th").allTextContents();
    assert.deepEqual(heads, ["Time", "app p50", "app p95", "ours p50", "ours p95"]);
    assert.deepEqual(faults, []);
  });

  test("a copy that the settings name no more is told apart from those that are used", async () => {
    stand.copies = copiesOf("default").slice(0, 2).map((row, at) => at === 0 ? row : { ...row, state: "draining" });
    const { page } = await show();
    await live(page);
    const panel = page.locator("[data-panel=app]");
    assert.match(await panel.innerText(), /1 of 1 copy in use, 1 draining/);
    assert.match((await panel.locator(".copy").allInnerTexts())[1] ?? "", /○ Draining[\s\S]*1 in hand/);
  });

  test("another site's panel says how to put one behind, and without any app there is none", async () => {
    stand.sites = ["default", "shop"];
    stand.copies = copiesOf("shop");
    const { page } = await show();
    await live(page);
    await page.locator("[data-panel=app]").getByText("mainstay serve --upstream http://127.0.0.1:3000").waitFor();
    assert.equal(await page.getByRole("radio", { name: "Split" }).count(), 0);
    await page.getByLabel("Site").selectOption("shop");
    await page.locator("[data-panel=app] .copy").nth(2).waitFor();
    stand.copies = [];
    await page.locator("[data-panel=app]").waitFor({ state: "detached" });
  });

  test("the history of latency is split too", async () => {
    stand.copies = copiesOf("default");
    const { page } = await show("/#range=24h");
    await page.getByRole("radio", { name: "Split" }).check();
    assert.match(await page.locator("[data-panel=history-latency]").innerText(), /Where the time goes[\s\S]*app p95[\s\S]*ours p95/);
  });
});

describe("machines", () => {
  /** @param {import("playwright-core").Page} page @param {string} panel @param {string} name */
  const row = (page, panel, name) => page.locator(`[data-panel=${panel}] .machine`).filter({ hasText: name });

  test("with files alone it shows them and says how to be many", async () => {
    const { page, faults } = await show();
    await live(page);
    await page.getByRole("button", { name: "Machines" }).click();
    await page.getByText("One machine, on its own files.").waitFor();
    assert.match(await page.locator("[data-panel=processes]").innerText(), /3f0be1a2c9d4 this one\s+● Ready\s+Mainstay 0\.1\.0 · started 2 h ago · 3 checks[\s\S]*DATABASE_PRIMARY_URL/);
    assert.match(await row(page, "databases", "insight.db").innerText(), /● File\s+12\.4 MB · log 1\.2 MB · 1 of 4 connections in use/);
    assert.match(await page.locator("[data-panel=redis]").innerText(), /No Redis is used\./);
    assert.equal(await valueOf(page, "processes").textContent(), "1");
    assert.match(page.url(), /#page=machines$/);
    assert.equal(await page.getByRole("group", { name: "Time range" }).count(), 0, "there is no time to choose");
    await page.getByRole("button", { name: "Site", exact: true }).click();
    await live(page);
    assert.deepEqual(faults, []);
  });

  test("shows every server with role, lag, pool and what ails it, as text", async () => {
    stand.machines = "shared";
    const { page, faults } = await show("/#page=machines");
    await row(page, "databases", "db-1").waitFor();
    assert.match(await row(page, "databases", "db-1").innerText(), /● Primary\s+eu-central-1 · TimescaleDB \(Apache\) · 3 of 8 connections in use · 3 under way/);
    assert.match(await row(page, "databases", "db-2").innerText(), /● Replica\s+eu-central-1 · 1\.3 MB, 412 ms behind · 1 of 7 connections/);
    assert.match(await row(page, "databases", "db-3").innerText(), /▲ Replica, not asked\s+us-east-1 · no connection\s+connection refused <img src=x/);
    assert.equal(await page.locator("main img").count(), 0);
    assert.match(await row(page, "redis", "10.0.0.22:6379").innerText(), /▲ Replica, not asked\s+did not answer/);
    assert.match(await row(page, "processes", "this one").innerText(), /▲ Ready, degraded[\s\S]*store:database db-3\.internal\.example:5432: connection refused/);
    assert.match(await row(page, "processes", "1d5c0f2b7e90").innerText(), /● Running\s+Mainstay 0\.2\.0 · us-east-1 · started 6 min ago · seen \d s ago/);
    assert.equal(await valueOf(page, "servers").textContent(), "2 of 3");
    assert.deepEqual(faults, []);
  });

  test("follows what happens to them", async () => {
    stand.machines = "shared";
    const { page } = await show("/#page=machines");
    await valueOf(page, "processes").filter({ hasText: "3" }).waitFor();
    stand.machines = "cut off";
    await row(page, "databases", "db-1").filter({ hasText: "Primary, not asked" }).waitFor();
    await page.getByText("Others are not known.").waitFor();
    assert.equal(await page.getByText("One process so far.").count(), 0, "it is not known whether anybody else serves");
    assert.equal(await valueOf(page, "lag").textContent(), "–", "nobody is asked, so nobody is behind");
  });

  test("a replica that is away hides no process: the primary says who serves", async () => {
    stand.machines = "by itself";
    const { page } = await show("/#page=machines");
    await row(page, "databases", "db-3").filter({ hasText: "Replica, not asked" }).waitFor();
    await page.getByText("One process so far.").waitFor();
    assert.equal(await page.getByText("Others are not known.").count(), 0);
  });

  test("a read that fails says why and keeps what was read before", async () => {
    const { page } = await show("/#page=machines");
    await row(page, "databases", "core.db").waitFor();
    stand.broken.add("/api/v1/databases");
    await page.locator("[data-panel=databases]").getByText("Not refreshed: The store is away.").waitFor();
    assert.equal(await row(page, "databases", "core.db").count(), 1);
  });

  test("they are read only while they are looked at", async () => {
    const { page } = await show();
    await live(page);
    assert.equal(stand.reads.filter((read) => read.startsWith("/api/v1/nodes")).length, 0);
    await page.goto(`${address}/#page=machines`);
    await row(page, "databases", "core.db").waitFor();
    assert.ok(stand.reads.some((read) => read.startsWith("/api/v1/nodes")));
  });
});

/** Everything at once: several sites and an app, many machines. */
const full = () => {
  stand.machines = "shared";
  stand.sites = ["default", "shop"];
  stand.copies = copiesOf("default");
};

/** Waits until the page has its rows. @param {import("playwright-core").Page} page */
async function filled(page) {
  if (page.url().includes("page=jobs")) return page.locator(".job").first().waitFor();
  const isMachines = page.url().includes("page=machines");
  await page.locator(isMachines ? "[data-panel=databases] .machine" : "[data-panel=pages] tbody tr").first().waitFor();
  if (isMachines) return page.locator("[data-panel=processes] .machine").first().waitFor();
  return page.locator("[data-vital=CLS]").filter({ hasText: "Poor" }).waitFor();
}

describe("everyone", () => {
  for (const path of ["/", "/#range=7d", "/#page=machines", "/#page=jobs&queue=email"]) {
    test(`the keyboard reaches every control of ${path}`, async () => {
      full();
      const { page } = await show(path);
      await filled(page);
      const wanted = await page.evaluate(() => {
        const all = [...document.querySelectorAll("button, a[href], select, input, [tabindex='0']")];
        const reachable = all.filter((node) => !(node instanceof HTMLInputElement && node.type === "radio") || node.checked);
        reachable.forEach((node, i) => node.setAttribute("data-stop", String(i)));
        return reachable.length;
      });
      const reached = new Set();
      for (let i = 0; i < wanted + 3; i += 1) {
        await page.keyboard.press("Tab");
        const stop = await page.evaluate(() => {
          const node = document.activeElement;
          if (node === null || node === document.body) return null;
          const shown = node.matches(".segment-input") ? node.nextElementSibling : node;
          const outline = shown === null ? "none" : getComputedStyle(shown).outlineStyle;
          return { stop: node.getAttribute("data-stop"), outline };
        });
        if (stop === null) continue;
        reached.add(stop.stop);
        assert.notEqual(stop.outline, "none", `focus is visible on stop ${stop.stop}`);
      }
      reached.delete(null);
      assert.equal(reached.size, wanted);
    });
  }

  test("arrow keys move through the time range", async () => {
    const { page } = await show();
    await live(page);
    await page.getByLabel("Live", { exact: true }).focus();
    await page.keyboard.press("ArrowRight");
    await page.locator("[data-panel=history-visitors]").waitFor();
    assert.match(page.url(), /#range=24h$/);
  });

  for (const [path, prepare] of /** @type {[string, () => void][]} */ ([["/", () => {}], ["/#range=30d", () => {}], ["/#site=default", full], ["/#page=machines", () => {}], ["/#page=machines&site=default", full], ["/#page=jobs&queue=email", full]])) {
    test(`nothing scrolls at 1440 x 900, nothing sideways on a phone: ${path}`, async () => {
      prepare();
      const { page } = await show(path);
      await filled(page);
      const overflow = () => page.evaluate(() => {
        const root = document.documentElement;
        return { x: root.scrollWidth - root.clientWidth, y: root.scrollHeight - root.clientHeight };
      });
      assert.deepEqual(await overflow(), { x: 0, y: 0 });
      const lists = await page.evaluate(() => [...document.querySelectorAll("[data-panel=pages] .scroll, [data-panel=server] .scroll, .row-machines .scroll")]
        .filter((node) => node.scrollHeight > node.clientHeight + 1).length);
      assert.equal(lists, 0, "eight rows fit without scrolling inside");
      for (const width of [390, 320, 768, 1180]) {
        await page.setViewportSize({ width, height: 844 });
        assert.equal((await overflow()).x, 0, `${width} px`);
      }
    });
  }

  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    for (const path of ["/", "/#range=24h", "/#page=machines", "/#page=jobs&queue=email"]) {
      test(`text stands out enough (WCAG AA), ${colorScheme} ${path}`, async () => {
        full();
        const { page } = await show(path, { colorScheme });
        await filled(page);
        assert.deepEqual(await page.evaluate(faintTexts), []);
      });
    }
  }

  test("the theme toggle overrules the system and is kept", async () => {
    const { page } = await show("/", { colorScheme: "light" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByRole("button", { name: "Switch to the dark theme" }).click();
    const dark = await ground();
    assert.notEqual(light, dark);
    await page.reload();
    await live(page);
    assert.equal(await ground(), dark);
    await page.getByRole("button", { name: "Switch to the light theme" }).click();
    assert.equal(await ground(), light);
    assert.equal(await page.evaluate(() => localStorage.length), 0, "the system's own theme needs no memory");
  });
});

/** Runs in the page: texts whose contrast to the ground behind them is below 4.5. */
function faintTexts() {
  /** @param {string} color */
  const parse = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  /** @param {number[]} rgb */
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  /** @param {Element | null} node @returns {number[]} */
  const ground = (node) => {
    if (node === null) return [255, 255, 255];
    const share = node.matches(".ranking tbody th") ? node.querySelector(".share") : null;
    const color = parse(getComputedStyle(share ?? node).backgroundColor);
    return color.length === 3 || color[3] === 1 ? color : ground(node.parentElement);
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text !== null; text = walker.nextNode()) {
    const node = text.parentElement;
    if (node === null || text.textContent?.trim() === "" || node.getClientRects().length === 0 || node.closest(".hidden, svg") !== null) continue;
    const [a, b] = [luminance(parse(getComputedStyle(node).color)), luminance(ground(node))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${text.textContent} ${contrast.toFixed(2)}`);
  }
  return faint;
}
