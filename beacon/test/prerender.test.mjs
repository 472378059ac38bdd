//! Prerendered pages count when the visitor arrives, and never otherwise. Automation switches prerendering off, so
//! this browser runs by itself and the pages steer the visit.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { browserArgs, startSite } from "./site.mjs";

const head = `
  <script type="speculationrules">{"prerender": [{"source": "list", "urls": ["/next", "/never"], "eagerness": "immediate"}]}</script>
  <script>
    window.mainstay = window.mainstay || function () { (mainstay.q = mainstay.q || []).push(arguments) };
    const go = (path, ms) => setTimeout(() => (location = path), ms);
    if (location.pathname === "/start") go("/next", 2500);
    if (location.pathname === "/next") {
      const arrived = () => {
        const [{ activationStart }] = performance.getEntriesByType("navigation");
        mainstay("arrived", { props: { activationStart } });
        go("/end", 800);
      };
      if (document.prerendering) document.addEventListener("prerenderingchange", arrived);
      else arrived();
    }
  </script>`;

for (const file of ["m.js", "m.lite.js"]) {
  test(`${file}: a prerendered page is one view from the moment it is shown`, async () => {
    const site = await startSite({ file, head, html: "<h1>page</h1>" });
    const profile = await mkdtemp(join(tmpdir(), "prerender-"));
    const args = browserArgs.filter((arg) => arg !== "--disable-background-networking");
    const browser = spawn(
      process.env.CHROMIUM || "/usr/bin/chromium",
      ["--headless=new", ...args, `--user-data-dir=${profile}`, site.origin + "/start"],
      { stdio: "ignore", detached: true },
    );
    try {
      const seen = (path) => site.events("pageview").filter(({ of }) => of.url === site.origin + path);
      await site.until(() => seen("/end")[0]);
      const [arrived] = site.events("custom");
      assert.ok(arrived.props.activationStart > 0, "the browser did prerender");
      assert.equal(seen("/next").length, 1);
      assert.equal(seen("/never").length, 0);
      if (file === "m.js") {
        const vitals = site.events("vital").filter(({ of }) => of.page === seen("/next")[0].of.page);
        assert.ok(vitals.length >= 3, `${vitals.length} vitals`);
        for (const { nav } of vitals) assert.equal(nav, "prerender");
      }
    } finally {
      const gone = once(browser, "exit");
      // The group this test started: the browser and its children.
      process.kill(-browser.pid, "SIGKILL");
      await gone;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
      await site.close();
    }
  });
}
