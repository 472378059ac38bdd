//! The five web vitals: all delivered after one click and a hide, right, with what explains them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { scriptedVisibility, startBrowser, visit, whenInstalled } from "./site.mjs";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

const names = ["CLS", "FCP", "INP", "LCP", "TTFB"];

// An image as the largest paint, a button that blocks, and something that moves what is below it.
// It blocks on the pointer's first event: were it the click, a slow machine may not have painted the
// event before it yet, which then is the longest of the interaction, and rightly so.
const html = `
  <div id="banner"></div>
  <main id="content" style="display: flow-root"><p class="lead text">text</p></main>
  <img class="hero" src="/hero.bmp?token=SECRET" width="600" height="400">
  <button id="buy">buy</button>
  <script>
    window.block = (ms) => { const end = performance.now() + ms; while (performance.now() < end); };
    buy.onpointerdown = () => block(300);
    window.shift = () => new Promise((resolve) => {
      new PerformanceObserver(resolve).observe({ type: "layout-shift" });
      banner.style.height = "90px";
    });
  </script>`;

const byName = (site) => Object.fromEntries(site.events("vital").map((vital) => [vital.name, vital]));

test("all five arrive once: the final ones while the page is open, the others after a click and leaving at once", () =>
  visit(browser, { html }, "/", async (site, page) => {
    await site.until(() => site.events("vital").length >= 2);
    assert.deepEqual(site.events("vital").map(({ name }) => name).sort(), ["FCP", "TTFB"]);
    await page.evaluate(() => shift());
    await page.click("#buy");
    await page.goto("about:blank");
    await site.until(() => site.events("engagement")[0]);
    assert.deepEqual(site.events("vital").map(({ name }) => name).sort(), names);
    const last = site.requests.at(-1).batch.events.filter(({ type }) => type === "vital");
    assert.deepEqual(last.map(({ name }) => name).sort(), ["CLS", "INP", "LCP"]);
    const { LCP, INP, CLS, TTFB, FCP } = byName(site);

    assert.ok(INP.value >= 300 && INP.value < 2000, `INP ${INP.value}`);
    assert.equal(INP.rating, INP.value > 500 ? "poor" : "needs-improvement");
    assert.equal(INP.attr.element, "#buy");
    assert.equal(INP.attr.kind, "pointer");
    assert.ok(INP.attr.process >= 295, `processing ${INP.attr.process}`);
    assert.ok(Math.abs(INP.attr.delay + INP.attr.process + INP.attr.render - INP.value) < 1, "phases add up");
    assert.equal(INP.attr.script, "/");
    assert.ok(INP.attr.scriptMs >= 295, `script ${INP.attr.scriptMs}`);

    assert.equal(LCP.attr.element, "html>body>img.hero");
    assert.equal(LCP.attr.url, "/hero.bmp");
    const { ttfb, delay, load, render } = LCP.attr;
    assert.ok(Math.abs(ttfb + delay + load + render - LCP.value) < 1, "phases add up");

    assert.ok(CLS.value > 0.01 && CLS.value < 1, `CLS ${CLS.value}`);
    assert.match(CLS.attr.element, /^(#content|html>body>img\.hero|#buy)$/);
    assert.ok(CLS.attr.shift <= CLS.value);

    const { wait, dns, connect, request } = TTFB.attr;
    assert.ok(Math.abs(wait + dns + connect + request - TTFB.value) < 1, "phases add up");
    assert.ok(FCP.value > 0 && FCP.value <= LCP.value + 1);
    for (const name of names) assert.equal(byName(site)[name].nav, "navigate");
    assert.ok(!JSON.stringify(site.requests).includes("SECRET"));
  }));

test("a page that never finishes loading is timed, and may end without a word", () =>
  visit(browser, { html: '<h1>text</h1><img src="/image.never">', waitUntil: "commit" }, "/", async (site, page) => {
    await site.until(() => site.events("vital").length >= 2);
    const { TTFB, FCP } = byName(site);
    const seen = await page.evaluate(() => {
      const [{ responseStart }] = performance.getEntriesByType("navigation");
      const [{ startTime }] = performance.getEntriesByName("first-contentful-paint");
      return { responseStart, startTime, state: document.readyState };
    });
    assert.equal(seen.state, "interactive", "load did not come");
    assert.ok(Math.abs(TTFB.value - seen.responseStart) < 0.01, `TTFB ${TTFB.value}, ${seen.responseStart}`);
    assert.ok(Math.abs(FCP.value - seen.startTime) < 0.01, `FCP ${FCP.value}, ${seen.startTime}`);
    assert.deepEqual([TTFB.nav, TTFB.rating], ["navigate", TTFB.value > 800 ? "needs-improvement" : "good"]);
    const { wait, dns, connect, request } = TTFB.attr;
    assert.ok(Math.abs(wait + dns + connect + request - TTFB.value) < 1, "phases add up");
  }));

test("a first paint long after the page view was sent is not kept back until the page is left", () =>
  visit(browser, { head: "<style>body { display: none }</style>" }, "/", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    await page.evaluate(() => (document.body.style.display = "block"));
    await site.until(() => site.events("vital").some(({ name }) => name === "FCP"));
    assert.equal(site.requests.length, 2);
    assert.equal(site.events("engagement").length, 0, "the page is still open");
  }));

test("values agree with what the browser itself recorded", () =>
  visit(browser, { html, scripts: [scriptedVisibility] }, "/", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    await page.evaluate(() => shift());
    const seen = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const seen = { CLS: 0 };
          const read = (type, take) =>
            new PerformanceObserver((list) => {
              list.getEntries().forEach(take);
              if (seen.LCP && seen.CLS && seen.FCP) resolve(seen);
            }).observe({ type, buffered: true });
          read("largest-contentful-paint", (entry) => (seen.LCP = entry.startTime));
          read("layout-shift", (entry) => (seen.CLS += entry.value));
          read("paint", (entry) => entry.name === "first-contentful-paint" && (seen.FCP = entry.startTime));
          seen.TTFB = performance.getEntriesByType("navigation")[0].responseStart;
        }),
    );
    await page.evaluate(() => setHidden(true));
    await site.until(() => site.events("vital").length >= 4);
    const vitals = byName(site);
    assert.deepEqual(Object.keys(vitals).sort(), ["CLS", "FCP", "LCP", "TTFB"], "no INP without interaction");
    for (const name in vitals)
      assert.ok(Math.abs(vitals[name].value - seen[name]) < 0.01, `${name} ${vitals[name].value}, ${seen[name]}`);
  }));

test("a quick click right before leaving is still an interaction", () =>
  visit(browser, { html: "<button id=b>b</button>" }, "/", async (site, page) => {
    await whenInstalled(page);
    await page.click("#b");
    await page.goto("about:blank");
    await site.until(() => site.events("engagement")[0]);
    assert.deepEqual(site.events("vital").map(({ name }) => name).sort(), names);
    assert.equal(byName(site).CLS.value, 0);
  }));

test("a key press whose handler navigates away", () =>
  visit(browser, { html: '<button id=b onclick="location=\'/elsewhere\'">b</button>' }, "/", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    await page.focus("#b");
    await page.keyboard.press("Enter");
    await site.until(() => site.events("pageview")[1]);
    const first = site.events("pageview")[0].of.page;
    const vitals = await site.until(() => {
      const own = site.events("vital").filter(({ of }) => of.page === first);
      return own.length === 5 && own;
    });
    const INP = vitals.find(({ name }) => name === "INP");
    assert.equal(INP.attr.kind, "keyboard");
    const together = vitals.filter(({ of }) => of === INP.of).map(({ name }) => name);
    for (const name of ["CLS", "LCP"]) assert.ok(together.includes(name), `${name} in the same request`);
  }));

test("vitals stay with the view that loaded, whatever the application navigated to since", () =>
  visit(browser, { html }, "/loaded", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    await page.evaluate(() => history.pushState(0, "", "/soft"));
    await page.click("#buy");
    await page.goto("about:blank");
    const vitals = await site.until(() => site.events("vital").length === 5 && site.events("vital"));
    for (const { of } of vitals) assert.equal(of.url, site.origin + "/loaded");
    assert.equal(vitals[0].of.page, site.events("pageview")[0].of.page);
    await site.until(() => site.events("engagement").length === 2);
    const engaged = site.events("engagement").map(({ of }) => of.url.replace(site.origin, ""));
    assert.deepEqual(engaged.sort(), ["/loaded", "/soft"]);
  }));

test("a restored page has vitals of its own, marked back-forward-cache", () =>
  visit(browser, { html }, "/cached", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    await page.goto(site.origin + "/next");
    await site.until(() => site.events("pageview")[1]);
    await page.evaluate(() => history.back());
    const { page: restored } = (await site.until(() => site.events("pageview")[2])).of;
    await page.click("#buy");
    await page.goto("about:blank");
    const own = await site.until(() => {
      const own = site.events("vital").filter(({ of }) => of.page === restored);
      return own.length >= 5 && own;
    });
    assert.deepEqual(own.map(({ name }) => name).sort(), names);
    for (const { nav } of own) assert.equal(nav, "back-forward-cache");
  }));

test("only what changed is sent when the page is hidden again", () =>
  visit(browser, { html, scripts: [scriptedVisibility] }, "/", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    await page.evaluate(() => setHidden(true));
    await site.until(() => site.events("vital").length === 4);
    await page.evaluate(() => (setHidden(false), shift()));
    await page.evaluate(() => setHidden(true));
    const [, , , , again, ...more] = await site.until(() => site.events("vital").length > 4 && site.events("vital"));
    assert.equal(again.name, "CLS");
    assert.deepEqual(more, []);
  }));
