// One Firefox over WebDriver BiDi, and pages that write down whatever they must not do, in the words of browser.mjs.
import puppeteer from "puppeteer-core";

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
  const faults = [];
  await page.exposeFunction("reportViolation", (text) => void faults.push(text));
  await page.evaluateOnNewDocument(() => {
    addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`policy: ${event.effectiveDirective} blocked ${event.blockedURI} ${event.sample}`));
  });
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`uncaught: ${error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== home && !["data:", "about:", "blob:"].includes(url.protocol)) faults.push(`foreign: ${url}`);
  });
  return { context, page, faults };
}
