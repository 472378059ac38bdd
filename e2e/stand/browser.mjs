// One Chromium, and contexts that write down whatever a page must not do. Knows no site.
import { chromium } from "playwright-core";
import { watchPage } from "./faults.mjs";
import { within } from "./server.mjs";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

const DEADLINE_MS = 20_000;
/** The default asks in every frame, which costs the browser more than the page it measures. */
const POLL_MS = 50;

/** The user agent of Chrome on a platform. */
export const agentOf = (platform, mobile = "") =>
  `Mozilla/5.0 (${platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0${mobile} Safari/537.36`;

export const DESKTOP_AGENT = agentOf("X11; Linux x86_64");
export const PHONE_AGENT = agentOf("Linux; Android 14; Pixel 8", " Mobile");

export const DESKTOP = { viewport: { width: 1440, height: 900 }, colorScheme: "light" };

export const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
  colorScheme: "light",
};

/**
 * Starts Chromium with a user agent, null for its own: headless Chromium names itself as such, which makes it a bot.
 * A context's `userAgent` would not do: what a page sends while it goes away still carries the browser's.
 * `more` are further switches.
 */
export const launch = (agent = DESKTOP_AGENT, more = []) =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [...ARGS, ...(agent === null ? [] : [`--user-agent=${agent}`]), ...more],
  });

/**
 * Opens a page in a context of its own. `faults` gathers policy violations and what faults.mjs writes down of a page
 * that comes from `home`.
 */
export async function openPage(browser, home, options = DESKTOP) {
  const context = await within("a context", browser.newContext(options));
  const page = await within("a page", context.newPage());
  const watched = watchPage(page, home);
  await context.exposeBinding("reportViolation", (_, text) => watched.faults.push(text));
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`policy: ${event.effectiveDirective} blocked ${event.blockedURI} ${event.sample}`));
  });
  return { context, page, ...watched };
}

/** Waits in the page until `check` holds; a failure names what was waited for and what the page shows instead. */
export async function waitIn(page, what, check, argument) {
  try {
    await page.waitForFunction(check, argument, { timeout: DEADLINE_MS, polling: POLL_MS });
  } catch (error) {
    const shows = await page.evaluate(() => document.body?.innerText.slice(0, 1500)).catch(String);
    throw new Error(`${what}: ${error.message}\n${page.url()} shows: ${shows}`);
  }
}

/** Resolves when our script runs in the page. */
export const whenMeasured = (page) => waitIn(page, "our script", () => window.mainstay?.v);

/** Resolves when the browser has painted its answer to the first click, which is what INP measures. */
export const whenAnswered = (page) =>
  page.evaluate(() => new Promise((resolve) => new PerformanceObserver(() => resolve()).observe({ type: "first-input", buffered: true })));

/** Resolves when something of the page is painted, as visitors see before they act. */
export const whenPainted = (page) =>
  waitIn(page, "a first paint", () => performance.getEntriesByName("first-contentful-paint").length);
