//! Uncaught errors and rejections of the page: reported once, bounded, in place, and never our own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser, visit, whenInstalled } from "./site.mjs";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

/** Counts what the page's own listeners see, so that a test can await the failures it caused before it leaves. */
const COUNT = "window.failures = 0; for (const of of ['error', 'unhandledrejection']) addEventListener(of, () => failures++);";
const whenFailed = (page, times) => page.waitForFunction((times) => failures === times, times);

/** Leaves the page and returns the errors it sent; the view of the next page comes after all of them. */
async function leave(site, page) {
  await page.goto(site.origin + "/done");
  await site.until(() => site.events("pageview").find(({ of }) => of.url.endsWith("/done")));
  return site.events("error");
}

test("errors and rejections with name, message, stack and place", () =>
  visit(
    browser,
    {
      html: `<p>text</p><script>
        ${COUNT}
        addEventListener("click", function pressed() {
          setTimeout(function later() { null.boom });
          Promise.reject(new RangeError("too far"));
          Promise.reject("plain");
          throw new TypeError("pressed wrong");
        });
      </script>`,
    },
    "/page",
    async (site, page) => {
      await whenInstalled(page);
      await page.click("body");
      await whenFailed(page, 4);
      const errors = await leave(site, page);
      const find = (text) => errors.find(({ message }) => message.includes(text));
      assert.equal(errors.length, 4);
      for (const [text, name] of [["pressed wrong", "TypeError"], ["too far", "RangeError"], ["null", "TypeError"]]) {
        const error = find(text);
        assert.equal(error.name, name);
        assert.equal(error.src, "/page");
        assert.ok(error.line > 1 && error.col > 1, `${error.line}:${error.col}`);
        assert.match(error.stack, /^\s+at (pressed|later|HTML|\S+)/);
        assert.ok(!error.stack.includes(error.message), "the stack holds frames only");
        assert.match(error.stack, /\/page:\d+:\d+/);
      }
      assert.equal(find("pressed wrong").message, "pressed wrong");
      assert.deepEqual([find("plain").name, find("plain").message, find("plain").src], ["Error", "plain", undefined]);
    },
  ));

test("a repeated error is sent once, and ten per view at most", () =>
  visit(browser, {}, "/", async (site, page) => {
    await whenInstalled(page);
    await page.evaluate(() => {
      const fail = (message) => dispatchEvent(new ErrorEvent("error", { message, filename: origin + "/a.js" }));
      for (let i = 0; i < 5; i++) fail("same");
      for (let i = 0; i < 30; i++) fail("other " + i);
      history.pushState(0, "", "/second");
      fail("same");
    });
    const errors = await leave(site, page);
    assert.equal(errors.filter(({ of }) => of.url === site.origin + "/").length, 10);
    assert.equal(errors.filter(({ of }) => of.url.endsWith("/second")).length, 1);
    assert.equal(errors.filter(({ message }) => message === "same").length, 2);
  }));

test("long messages and stacks are cut", () =>
  visit(browser, {}, "/", async (site, page) => {
    await whenInstalled(page);
    await page.evaluate(() => {
      const error = new Error("m".repeat(9000));
      error.stack = "Error\n" + "    at f (https://site.test/a.js:1:2)\n".repeat(999);
      dispatchEvent(new ErrorEvent("error", { message: "x", error, filename: "https://site.test/a.js" }));
    });
    await page.evaluate(() => {
      const neighbour = `${origin}0/a.js`;
      dispatchEvent(new ErrorEvent("error", { message: "neighbour", filename: neighbour }));
    });
    const [error, next] = await leave(site, page);
    assert.equal(next.src, `${site.origin}0/a.js`, "another port is another origin");
    assert.equal(error.message.length, 512);
    assert.equal(error.stack.length, 4096);
    assert.equal(error.src, "https://site.test/a.js");
  }));

test("failed resources, extensions, secretive origins and our own script are left out", () =>
  visit(browser, { html: '<img src="data:,broken">' }, "/", async (site, page) => {
    await whenInstalled(page);
    const ours = await page.evaluate(() => document.querySelector("script[data-site]").src);
    await page.evaluate((ours) => {
      const fail = (message, filename, stack) =>
        dispatchEvent(new ErrorEvent("error", { message, filename, error: stack && { message, stack } }));
      fail("ours", ours, `Error: ours\n    at a (${ours}:1:2)\n    at b (${ours}:1:3)`);
      fail("Script error.", "");
      fail("extension", "chrome-extension://abc/x.js");
      fail("page", ours, `Error: page\n    at a (${ours}:1:2)\n    at b (${origin}/app.js:7:3)`);
    }, ours);
    const [error, ...more] = await leave(site, page);
    assert.deepEqual(more, []);
    assert.deepEqual([error.message, error.src, error.line, error.col], ["page", "/app.js", 7, 3]);
  }));

test("the page's own failing calls fail as before, and are the page's", () =>
  visit(browser, { html: `<script>${COUNT} window.call = () => history.pushState(call, '', '/x')</script>` }, "/", async (site, page) => {
    await whenInstalled(page);
    const name = await page.evaluate(() => {
      setTimeout(call);
      try {
        history.pushState(() => {}, "", "/x");
      } catch (error) {
        Promise.reject(error);
        return error.name;
      }
    });
    assert.equal(name, "DataCloneError");
    await whenFailed(page, 2);
    const errors = await leave(site, page);
    assert.deepEqual(errors.map(({ name }) => name), ["DataCloneError", "DataCloneError"]);
    assert.deepEqual(errors.map(({ src }) => src).sort(), ["/", undefined]);
    assert.equal(site.events("pageview").length, 2);
  }));

for (const missing of ["crypto", "performance", "PerformanceObserver", "URL", "fetch", "history"]) {
  test(`a page without ${missing} works as without us`, () =>
    visit(
      browser,
      { head: `<script>window.seen = []; onerror = (text) => seen.push(text);
        onunhandledrejection = ({ reason }) => seen.push(String(reason));
        Object.defineProperty(window, "${missing}", { value: undefined });</script>` },
      "/",
      async (site, page) => {
        await page.waitForLoadState("load");
        await page.click("body");
        assert.deepEqual(await page.evaluate(() => new Promise((done) => setTimeout(() => done(seen), 700))), []);
      },
    ));
}
