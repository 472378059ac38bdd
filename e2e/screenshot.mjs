// Takes the README's picture of the console: real browsers visit the example for a few minutes, then the owner looks.
// node screenshot.mjs BINARY [OUT.png]
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";
import { agentOf, DESKTOP, launch, openPage, PHONE, whenMeasured } from "./stand/browser.mjs";
import { openConsole, whenShown } from "./stand/console.mjs";
import { startServer } from "./stand/server.mjs";

const SITE = fileURLToPath(new URL("../examples/portfolio/site", import.meta.url));
const OUT = fileURLToPath(new URL("../docs/console.png", import.meta.url));
const [binary, out = OUT] = process.argv.slice(2);
if (!binary) throw new Error("usage: node screenshot.mjs BINARY [OUT.png]");

/** Browsers open at once: more would measure this machine instead of the site. */
const AT_ONCE = 3;
const READING_MS = [400, 1600];
/** The charts of the live view cover five minutes. */
const TRAFFIC_MS = 290_000;

const [LINUX, WINDOWS, MAC] = ["X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"].map((it) => agentOf(it));
const [PIXEL, GALAXY] = ["Linux; Android 14; Pixel 8", "Linux; Android 13; SM-S911B"].map((it) => agentOf(it, " Mobile"));

/** Where each visitor comes in and goes on to; `fault` is one page on which a script of theirs fails. */
const VISITS = [
  { agent: MAC, entry: "/?utm_source=newsletter", on: ["/work/", "/work/cistern", "/contact"] },
  { agent: PIXEL, phone: true, entry: "/work/blue-hour?ref=buildings-weekly.example", on: ["/work/", "/about"], fault: "/about" },
  { agent: WINDOWS, entry: "/", on: ["/work/", "/work/long-noon", "/journal/"] },
  { agent: LINUX, entry: "/journal/waiting-for-the-shadow?ref=feed-reader.example", on: ["/journal/one-lens-for-a-year", "/"] },
  { agent: GALAXY, phone: true, entry: "/?utm_source=newsletter", on: ["/work/", "/work/weir-house"] },
  { agent: agentOf("Macintosh; Intel Mac OS X 11_6"), entry: "/work/?ref=buildings-weekly.example", on: ["/work/white-stair", "/work/ochre-school", "/about"], fault: "/about" },
  { agent: agentOf("Windows NT 11.0; Win64; x64"), entry: "/", on: ["/about", "/contact", "/thanks"], fault: "/contact" },
  { agent: agentOf("Linux; Android 15; Pixel 9", " Mobile"), phone: true, entry: "/journal/printing-on-cotton?utm_source=mastodon", on: ["/", "/work/"] },
  { agent: agentOf("X11; CrOS x86_64 16181.61.0"), entry: "/work/?utm_source=mastodon", on: ["/work/cistern", "/gone"] },
  { agent: MAC, entry: "/work/", on: ["/work/blue-hour", "/"] },
];

const read = () => pause(READING_MS[0] + Math.random() * (READING_MS[1] - READING_MS[0]));

async function visit(site, { agent, phone = false, entry, on, fault }) {
  const browser = await launch(agent);
  const { page } = await openPage(browser, site, phone ? PHONE : DESKTOP);
  for (const path of [entry, ...on]) {
    await page.goto(site + path);
    await whenMeasured(page);
    await read();
    await page.click("button.hour");
    await page.mouse.wheel(0, 900);
    if (path === fault) await page.evaluate(() => void setTimeout(() => document.querySelector("#map").focus()));
    if (path === "/contact") await page.evaluate(() => void setTimeout(() => JSON.parse("")));
    await read();
  }
  await page.goto("about:blank");
  await browser.close();
}

const server = await startServer(binary, SITE, ["--env", "production"]);
try {
  const end = Date.now() + TRAFFIC_MS;
  let turn = 0;
  let watched = false;
  const browsing = Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (!watched) await visit(server.site, VISITS[turn++ % VISITS.length]);
  }));
  await pause(end - Date.now());
  const browser = await launch();
  const { page, faults } = await openConsole(browser, server);
  // A moment in which somebody opens a page, as the number next to the chart tells.
  await whenShown(page, "[data-tile=requests] [data-value]", /^[1-9]/);
  await page.screenshot({ path: out });
  watched = true;
  await Promise.all([browser.close(), browsing]);
  if (faults.length > 0) throw new Error(`the console is not well: ${faults.join("; ")}`);
} finally {
  await server.stop();
}
