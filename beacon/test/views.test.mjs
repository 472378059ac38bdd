//! Page views, engagement and custom events, of both scripts, in a real browser.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { scriptedVisibility, startBrowser, visit, whenInstalled } from "./site.mjs";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

/** Keeps scheduled sendings from happening, however slow the machine is. */
const noTimers = "window.setTimeout = () => 1";

/** Holds the first sending back until something is painted: on a busy machine that takes longer than half a second. */
const sendWhenPainted = `
  const later = window.setTimeout;
  const painted = new Promise((resolve) => new PerformanceObserver(resolve).observe({ type: "paint", buffered: true }));
  window.setTimeout = (run, ms) => (painted.then(() => later(run, ms)), 1);`;

for (const file of ["m.js", "m.lite.js"]) {
  describe(file, () => {
    test("sends the page view soon after load, in the documented shape", () =>
      visit(browser, { file }, "/a/b?utm_source=news#top", async (site) => {
        const { batch, url, method, headers } = await site.until(() => site.requests[0]);
        assert.equal(method, "POST");
        assert.equal(url, "/inner/prefix/events");
        assert.equal(headers["content-type"], "text/plain;charset=UTF-8");
        assert.deepEqual(Object.keys(batch), ["v", "site", "page", "url", "w", "release", "events"]);
        assert.equal(batch.v, 1);
        assert.equal(batch.site, "shop");
        assert.equal(batch.release, "r7");
        assert.equal(batch.w, 1280);
        assert.equal(batch.url, site.origin + "/a/b?utm_source=news");
        assert.match(batch.page, /^[\w-]{22}$/);
        const [{ id, ...event }, ...more] = batch.events;
        assert.ok(more.every(({ type }) => type === "vital" && file === "m.js"), JSON.stringify(more));
        assert.match(id, /^[\w-]{22}$/);
        assert.deepEqual(event, { type: "pageview", t: 0 });
      }));

    test("an ordinary view takes two requests, without preflight", () =>
      visit(browser, { file, scripts: [sendWhenPainted] }, "/", async (site, page) => {
        await site.until(() => site.events("pageview")[0]);
        await page.goto("about:blank");
        await site.until(() => site.events("engagement")[0]);
        // A later view is later on the wire: nothing of the first can still be under way.
        await page.goto(site.origin + "/later");
        await site.until(() => site.events("pageview")[1]);
        assert.deepEqual(site.requests.map(({ method }) => method), ["POST", "POST", "POST"]);
      }));

    test("leaving before the page view was sent loses nothing and takes one request", () =>
      visit(browser, { file, scripts: [noTimers] }, "/quick", async (site, page) => {
        await whenInstalled(page);
        await page.goto("about:blank");
        await site.until(() => site.events("engagement")[0]);
        assert.equal(site.requests.length, 1);
        assert.equal(site.events("pageview").length, 1);
      }));

    test("in-page navigation is a new view when the path changes, and only then", () =>
      visit(browser, { file }, "/one?x=1", async (site, page) => {
        await whenInstalled(page);
        await page.evaluate(() => {
          history.replaceState({}, "", "/one?x=2#y");
          history.pushState({ a: 1 }, "", "/two?utm_medium=mail&secret=1");
        });
        assert.deepEqual(await page.evaluate(() => history.state), { a: 1 });
        await site.until(() => site.events("pageview").length === 2);
        await page.evaluate(() => history.back());
        await site.until(() => site.events("pageview").length === 3);
        const views = site.events("pageview").map(({ of }) => of);
        assert.deepEqual(views.map(({ url }) => url.replace(site.origin, "")), ["/one", "/two?utm_medium=mail", "/one"]);
        assert.equal(new Set(views.map(({ page }) => page)).size, 3);
        assert.equal(views[1].ref, site.origin + "/one");
        assert.equal(views[2].ref, site.origin + "/two");
      }));

    test("a restore from the back/forward cache is a new view", () =>
      visit(browser, { file }, "/cached", async (site, page) => {
        await site.until(() => site.events("pageview")[0]);
        await page.evaluate(() => addEventListener("pageshow", ({ persisted }) => (window.persisted = persisted)));
        await page.goto(site.origin + "/next");
        await site.until(() => site.events("pageview")[1]);
        await page.evaluate(() => history.back());
        const restored = await site.until(() => site.events("pageview")[2]);
        assert.equal(await page.evaluate(() => window.persisted), true, "the browser restored, not reloaded");
        assert.equal(restored.of.url, site.origin + "/cached");
        assert.notEqual(restored.of.page, site.events("pageview")[0].of.page);
      }));

    test("a background tab counts when it is first seen, with the address it has then", () =>
      visit(browser, { file, scripts: ["window.startHidden = true", scriptedVisibility] }, "/behind", async (site, page) => {
        await whenInstalled(page);
        await page.evaluate(() => {
          history.replaceState(null, "", "/redirected");
          mainstay("early");
          setHidden(true);
        });
        assert.equal(site.requests.length, 0);
        await page.evaluate(() => setHidden(false));
        await site.until(() => site.events("pageview")[0]);
        assert.equal(site.requests.length, 1);
        assert.equal(site.requests[0].batch.url, site.origin + "/redirected");
        const types = site.events().map(({ type }) => type).filter((type) => type !== "vital");
        assert.deepEqual(types.sort(), ["custom", "pageview"]);
      }));

    test("a background tab sends nothing before it is seen, however much happens in it", () =>
      visit(browser, { file, scripts: ["window.startHidden = true", scriptedVisibility] }, "/behind", async (site, page) => {
        await whenInstalled(page);
        await page.evaluate(() => {
          for (let i = 0; i < 60; i++) mainstay("early");
          // Later than what was scheduled for at once.
          return new Promise((resolve) => setTimeout(resolve, 50));
        });
        assert.equal(site.requests.length, 0);
        await page.evaluate(() => setHidden(false));
        await site.until(() => site.events("pageview")[0]);
        await site.until(() => site.events("custom").length === 60);
        for (const { batch } of site.requests) assert.equal(batch.url, site.origin + "/behind");
      }));

    test("a frame without size is measured once it has one", () =>
      visit(
        browser,
        {
          file,
          html: `<script>if (top === self) document.write('<iframe id="f" src="/frame" style="display:none"></iframe>')</script>`,
        },
        "/",
        async (site, page) => {
          await site.until(() => site.events("pageview").length === 2);
          await page.evaluate(() => {
            f.contentWindow.dispatchEvent(new Event("blur"));
            f.style.display = "block";
          });
          await page.goto("about:blank");
          const find = () => site.events("engagement").find(({ of }) => of.url.endsWith("/frame"));
          assert.equal((await site.until(find)).scroll, 100);
        },
      ));

    test("engagement reports totals, each time they grew", () =>
      visit(browser, { file, html: "<div style='height:2880px'>", scripts: [scriptedVisibility] }, "/", async (site, page) => {
        await site.until(() => site.events("pageview")[0]);
        await page.evaluate(() => setHidden(true));
        const [first] = await site.until(() => site.events("engagement").length === 1 && site.events("engagement"));
        assert.ok(first.scroll >= 24 && first.scroll <= 26, `${first.scroll} % before scrolling`);
        await page.evaluate(() => (setHidden(true), setHidden(false), scrollTo(0, 720)));
        await page.waitForFunction(() => scrollY === 720);
        // Attention, not time: measured by the page's own clock.
        await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));
        await page.evaluate(() => (scrollTo(0, 0), setHidden(true)));
        const [, second] = await site.until(() => site.events("engagement").length === 2 && site.events("engagement"));
        assert.ok(second.scroll >= 49 && second.scroll <= 51, `${second.scroll} % is the furthest, not the last`);
        assert.ok(second.ms >= first.ms + 290, `${first.ms} then ${second.ms}`);
        assert.ok(second.ms <= second.t, "no more attention than time");
        assert.equal(second.of.page, first.of.page);
      }));

    test("custom events, before and after the script arrived", () =>
      visit(
        browser,
        {
          file,
          head: `<script>
            window.mainstay = window.mainstay || function () { (mainstay.q = mainstay.q || []).push(arguments) };
            window.copy = mainstay;
            mainstay("early", { props: { plan: "pro", n: 2, ok: true, nested: { a: 1 }, none: null } });
          </script>`,
        },
        "/",
        async (site, page) => {
          await whenInstalled(page);
          await page.evaluate(() => {
            mainstay("buy", { revenue: { amount: 9.5, currency: "EUR" } });
            copy("through the stub");
            mainstay();
            mainstay("bad", { props: 7, revenue: "free" });
          });
          await page.goto("about:blank");
          await site.until(() => site.events("engagement")[0]);
          const [early, buy, stub] = site.events("custom");
          assert.equal(early.name, "early");
          assert.deepEqual(early.props, { plan: "pro", n: 2, ok: true });
          assert.deepEqual(buy.revenue, { amount: 9.5, currency: "EUR" });
          assert.equal(stub.name, "through the stub");
        },
      ));

    test("a second copy of the script stays silent", () =>
      visit(browser, { file }, "/", async (site, page) => {
        await whenInstalled(page);
        await page.evaluate(
          (src) =>
            new Promise((resolve) => {
              document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve }));
            }),
          `/inner/prefix/${file}`,
        );
        await page.goto("about:blank");
        await site.until(() => site.events("engagement")[0]);
        assert.equal(site.events("pageview").length, 1);
      }));

    test("uses no cookie and no storage", () =>
      visit(
        browser,
        {
          file,
          scripts: [
            `window.touched = [];
            for (const [owner, name] of [[Document.prototype, "cookie"], [window, "localStorage"],
              [window, "sessionStorage"], [window, "indexedDB"], [window, "caches"], [window, "cookieStore"]]) {
              Object.defineProperty(owner, name, { configurable: true,
                get() { touched.push(name); return {} }, set() { touched.push(name) } });
            }`,
          ],
        },
        "/",
        async (site, page, context) => {
          await site.until(() => site.events("pageview")[0]);
          await page.evaluate(() => (history.pushState(0, "", "/x"), mainstay("e")));
          await site.until(() => site.events("pageview")[1]);
          assert.deepEqual(await page.evaluate(() => touched), []);
          assert.deepEqual((await context.cookies()).map(({ name }) => name), ["theirs"]);
        },
      ));
  });
}
