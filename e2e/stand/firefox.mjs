// One Firefox over WebDriver BiDi, and pages that write down whatever they must not do, in the words of browser.mjs.
import puppeteer from "puppeteer-core";
import { watchPage } from "./faults.mjs";

/** For each command that is given to the browser. */
const DEADLINE_MS = 30_000;

const PREFERENCES = {
  // Nothing but the site is asked for anything.
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "browser.safebrowsing.downloads.remote.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "app.normandy.enabled": false,
};

/** Starts Firefox. It takes the site's certificate as it is: the authority behind it is made for one test. */
export const launchFirefox = () =>
  puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.FIREFOX || "/usr/bin/firefox-esr",
    headless: true,
    acceptInsecureCerts: true,
    protocolTimeout: DEADLINE_MS,
    extraPrefsFirefox: PREFERENCES,
  });

/** As `openPage` of browser.mjs. */
export async function openFirefoxPage(browser, home) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width: 1440, height: 900 }).catch((error) => {
    // Older releases know no screen orientation, which is set after the size.
    if (!String(error).includes("setScreenOrientationOverride")) throw error;
  });
  const watched = watchPage(page, home);
  await page.exposeFunction("reportViolation", (text) => void watched.faults.push(text));
  await page.evaluateOnNewDocument(() => {
    addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`policy: ${event.effectiveDirective} blocked ${event.blockedURI} ${event.sample}`));
  });
  return { context, page, ...watched };
}
