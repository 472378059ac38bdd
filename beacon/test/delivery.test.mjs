//! Batches: their bounds, and the bounded repeats when the server has no room.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { scriptedVisibility, startBrowser, visit, whenInstalled } from "./site.mjs";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

const ids = ({ batch }) => batch.events.map(({ id }) => id);

test("many events go out in batches of at most fifty, before memory is full", () =>
  visit(browser, {}, "/", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    for (let burst = 0; burst < 3; burst++) {
      await page.evaluate(() => {
        for (let i = 0; i < 60; i++) mainstay("burst");
      });
      await site.until(() => site.events("custom").length >= (burst + 1) * 60);
    }
    for (const { batch } of site.requests) assert.ok(batch.events.length <= 50, `${batch.events.length} events`);
    const sent = [...site.events("pageview"), ...site.events("custom")].map(({ id }) => id);
    assert.deepEqual([sent.length, new Set(sent).size], [181, 181], "each once");
  }));

test("memory holds a hundred events", () =>
  visit(browser, { file: "m.lite.js" }, "/", async (site, page) => {
    await site.until(() => site.events("pageview")[0]);
    await page.evaluate(() => {
      for (let i = 0; i < 1000; i++) mainstay("flood");
    });
    await page.goto("about:blank");
    await site.until(() => site.events("custom").length >= 100);
    assert.equal(site.events("custom").length, 100);
  }));

for (const text of ["a", "é", "漢"]) {
  test(`large events of "${text}" stay below 60 KiB per request, and one too large is dropped`, () =>
    visit(browser, {}, "/", async (site, page) => {
      await site.until(() => site.events("pageview")[0]);
      await page.evaluate((text) => {
        for (let i = 0; i < 12; i++) mainstay("large", { props: { text: text.repeat(5000) } });
        mainstay("too large", { props: { text: text.repeat(20000) } });
        for (let i = 0; i < 40; i++) mainstay("small");
      }, text);
      await site.until(() => site.events("custom").length >= 52);
      assert.equal(site.events("custom").filter(({ name }) => name === "too large").length, 0);
      for (const { body } of site.requests) {
        const bytes = Buffer.byteLength(body);
        assert.ok(bytes <= 60 * 1024, `${bytes} bytes`);
      }
    }));
}

for (const status of [429, 503]) {
  test(`${status}: the same events come again after Retry-After`, () =>
    visit(
      browser,
      { answer: (n) => (n === 0 ? [status, { "retry-after": "1" }] : [204, {}]) },
      "/",
      async (site) => {
        const [first, again] = await site.until(() => site.requests.length === 2 && site.requests);
        assert.deepEqual(ids(again), ids(first));
        assert.equal(again.batch.page, first.batch.page);
      },
    ));
}

test("an event is tried three times, and no other answer is repeated", () =>
  visit(browser, { answer: () => [503, { "retry-after": "0.05" }] }, "/", async (site, page) => {
    const [first, , third] = await site.until(() => site.requests.length === 3 && site.requests);
    assert.deepEqual(ids(third), ids(first));
    // The next view's requests come after any fourth try would have.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 400)));
    assert.equal(site.requests.length, 3);
  }));

test("a refusal for good is not repeated", () =>
  visit(browser, { answer: () => [400, {}] }, "/", async (site, page) => {
    await site.until(() => site.requests[0]);
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 400)));
    assert.equal(site.requests.length, 1);
  }));

test("what waits for its next try goes out when the page is hidden", () =>
  visit(
    browser,
    { scripts: [scriptedVisibility], answer: (n) => (n === 0 ? [503, { "retry-after": "60" }] : [204, {}]) },
    "/",
    async (site, page) => {
      const first = await site.until(() => site.requests[0]);
      await page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => /events$/.test(name)));
      await page.evaluate(() => setHidden(true));
      const second = await site.until(() => site.requests[1]);
      assert.ok(ids(second).includes(ids(first)[0]));
    },
  ));

test("no request needs a preflight or carries a header of ours", () =>
  visit(browser, {}, "/", async (site, page) => {
    await whenInstalled(page);
    await page.evaluate(() => (mainstay("x"), history.pushState(0, "", "/y")));
    await site.until(() => site.events("pageview")[1]);
    await page.goto("about:blank");
    await site.until(() => site.events("vital")[0]);
    for (const { method, headers } of site.requests) {
      assert.equal(method, "POST");
      assert.equal(headers["content-type"], "text/plain;charset=UTF-8");
      const own = Object.keys(headers).filter((name) => /^x-|authorization|mainstay/i.test(name));
      assert.deepEqual(own, []);
    }
  }));
