// Every page of the example in a desktop and a phone browser: do they work under the policy that protects them, and
// does planted script not? Prints one line of JSON. Argument: {"site", "admin", "dataDir", "siteDir"}.
import { DESKTOP, launch, openPage, PHONE, whenMeasured } from "./stand/browser.mjs";
import { openConsole, readMachines } from "./stand/console.mjs";
import { listWeaknesses } from "./stand/policy.mjs";
import { listBroken, listPages } from "./stand/portfolio.mjs";
import { startForeign, startProxy } from "./stand/proxy.mjs";
import { until } from "./stand/server.mjs";

const input = JSON.parse(process.argv[2]);

/** Visits every page as one device, and then uses what moves. */
async function browse(browser, device, options) {
  const { context, page, faults } = await openPage(browser, input.site, options);
  const pages = [];
  for (const path of listPages(input.siteDir)) {
    const response = await page.goto(input.site + path);
    const broken = await listBroken(page);
    const weaknesses = listWeaknesses(response.headers()["content-security-policy"]);
    pages.push({ device, path, status: response.status(), broken, weaknesses, faults: faults.splice(0) });
  }
  const theme = await switchTheme(page);
  const gallery = await filterGallery(page);
  await context.close();
  return { pages, used: { device, theme, gallery, faults } };
}

/** The hour switch: the ground's colour before and after, and on the next page, which remembers. */
async function switchTheme(page) {
  const look = () =>
    page.evaluate(async () => {
      await Promise.all(document.getAnimations().map((animation) => animation.finished));
      return getComputedStyle(document.body).backgroundColor;
    });
  await page.goto(`${input.site}/`);
  const before = await look();
  await page.click("button.hour");
  const clicked = await look();
  await page.goto(`${input.site}/about`);
  return { before, clicked, remembered: await look() };
}

async function filterGallery(page) {
  await page.goto(`${input.site}/work/`);
  const shown = () => page.locator(".cards li:not([hidden])").count();
  const all = await shown();
  await page.click(".chip[value=morning]");
  await page.waitForFunction(() => document.querySelector(".filters output").value.startsWith("1 "));
  return { all, morning: await shown(), address: new URL(page.url()).search };
}

/** Plants script in three ways; `strip` takes headers out, which proves that the planted script would have run. */
async function plant(browser, strip) {
  const foreign = await startForeign();
  const push = (name) => `window.planted=[...(window.planted||[]),'${name}']`;
  const html =
    `<script>${push("inline")}</script><img src="/no-such.png" onerror="${push("handler")}">` +
    `<script src="${foreign.origin}/foreign.js"></script>`;
  const proxy = await startProxy(input.site, { html, strip });
  const { context, page, faults } = await openPage(browser, proxy.origin);
  await page.goto(`${proxy.origin}/work/`);
  await whenMeasured(page);
  const listBlocked = () => faults.filter((fault) => fault.startsWith("policy:"));
  const ran = await until("a verdict on each", async (note) => {
    const ran = await page.evaluate(() => window.planted ?? []);
    note({ ran, faults });
    return ran.length + listBlocked().length >= 3 && ran.sort();
  });
  const works = await page.locator(".filters output").textContent();
  await context.close();
  await Promise.all([proxy.close(), foreign.close()]);
  return { ran, fetched: foreign.asked, works, blocked: listBlocked() };
}

const browser = await launch();
const [desktop, phone] = await Promise.all([browse(browser, "desktop", DESKTOP), browse(browser, "phone", PHONE)]);
const planted = { guarded: await plant(browser, []), bare: await plant(browser, ["content-security-policy"]) };
const { policy, page, faults } = await openConsole(browser, input);
const machines = await readMachines(page);
await browser.close();
console.log(JSON.stringify({
  pages: [...desktop.pages, ...phone.pages],
  used: [desktop.used, phone.used],
  planted,
  console: listWeaknesses(policy),
  machines: { ...machines, faults },
}));
