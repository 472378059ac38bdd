//! What never leaves the browser: query values, fragments, and, on request, everything that tells visits apart.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startBrowser, visit, whenInstalled } from "./site.mjs";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

const campaign = "utm_source=a&utm_medium=b&utm_campaign=c&utm_term=d&utm_content=e&ref=f&source=g&via=h";

for (const file of ["m.js", "m.lite.js"]) {
  describe(file, () => {
    test("the query is reduced to the campaign parameters", () =>
      visit(
        browser,
        { file },
        `/p?token=SECRET1&${campaign}&utm_id=SECRET2&UTM_SOURCE=SECRET3&xref=SECRET4&a=1?ref=SECRET5&ref=https://x.test/?t=SECRET6&via=%3Ft%3DSECRET7#SECRET8`,
        async (site) => {
          const { batch, body } = await site.until(() => site.requests[0]);
          assert.equal(batch.url, `${site.origin}/p?${campaign}&ref=https://x.test/&via=`);
          assert.ok(!body.includes("SECRET"), body);
        },
      ));

    test("the referrer is origin and path", () =>
      visit(
        browser,
        { file, head: '<meta name="referrer" content="unsafe-url">', html: '<a id="a" href="/b">b</a>' },
        "/a?token=SECRET#SECRET",
        async (site, page) => {
          await page.click("#a");
          const { of } = await site.until(() => site.events("pageview").find(({ of }) => of.url.endsWith("/b")));
          assert.equal(of.ref, site.origin + "/a");
          assert.ok(!JSON.stringify(site.requests.map(({ body }) => body)).includes("SECRET"));
        },
      ));

    test("texts of custom events are scrubbed", () =>
      visit(browser, { file }, "/", async (site, page) => {
        await whenInstalled(page);
        await page.evaluate(() =>
          mainstay("open /x?t=SECRET", { props: { to: "https://x.test/cb#access_token=SECRET", ask: "really?" } }),
        );
        await page.goto("about:blank");
        const [event] = await site.until(() => site.events("custom")[0] && site.events("custom"));
        assert.equal(event.name, "open /x");
        assert.deepEqual(event.props, { to: "https://x.test/cb", ask: "really" });
      }));

    for (const [signal, script] of [
      ["GPC", "Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })"],
      ["DNT", "Object.defineProperty(navigator, 'doNotTrack', { value: '1' })"],
    ]) {
      test(`${signal}: the page is counted, nothing tells the visit apart`, () =>
        visit(
          browser,
          { file, scripts: [script], html: '<p>text</p><a id="a" href="/to?utm_source=mail">to</a>' },
          "/from",
          async (site, page) => {
            await whenInstalled(page);
            await page.evaluate(() =>
              mainstay("buy", { props: { user: "PERSON" }, revenue: { amount: 2, currency: "EUR" } }),
            );
            await page.click("#a");
            const { of } = await site.until(() => site.events("pageview").find(({ of }) => /\/to/.test(of.url)));
            await page.goto("about:blank");
            if (file === "m.js") await site.until(() => site.events("vital").length >= 9);
            assert.equal(of.url, site.origin + "/to");
            assert.equal(of.ref, undefined);
            assert.equal(site.events("pageview").length, 2);
            assert.deepEqual(site.events("engagement"), []);
            for (const vital of site.events("vital")) assert.equal(vital.attr, undefined);
            const [{ props, revenue }] = site.events("custom");
            assert.deepEqual([props, revenue], [{}, { amount: 2, currency: "EUR" }]);
          },
        ));
    }
  });
}

test("no query value leaves in messages, stacks, places or attribution", () =>
  visit(
    browser,
    {
      html: `<img id="hero" width="600" height="400" src="/x.bmp?sig=SECRET">
        <script>
          window.fail = () => {
          setTimeout(() => { throw new Error("GET https://api.test/u?token=SECRET&q='SECRET failed: (/v2/x?a=SECRET) jo.SECRET@mail.test /cb#id_token=SECRET app#/reset/SECRET %3Fk%3DSECRET") });
          Promise.reject(new Error("fetch /items?SECRET:1:2"));
          setTimeout(() => dispatchEvent(new ErrorEvent("error", { message: "m", filename: origin + "/app.js?s=SECRET#SECRET",
            error: { name: "E", message: "m", stack: "f@" + origin + "/app.js?s=SECRET:(SECRET):10:5\\ng@" + origin + "/b.js#SECRET:3:4" } })));
          };
        </script>`,
    },
    "/page?session=SECRET#SECRET",
    async (site, page) => {
      await whenInstalled(page);
      await page.evaluate(() => fail());
      await page.click("#hero");
      await page.goto("about:blank");
      await site.until(() => site.events("vital").length === 5);
      const sent = site.requests.map(({ body }) => body).join("\n");
      const errors = site.events("error");
      assert.ok(errors.some(({ message }) => message.startsWith("GET https://api.test/u ")), "the rest is kept");
      assert.equal(errors.find(({ name }) => name === "E").stack, `f@${site.origin}/app.js:10:5\ng@${site.origin}/b.js:3:4`);
      assert.equal(errors.length, 3);
      assert.ok(!sent.includes("SECRET"), sent);
    },
  ));
