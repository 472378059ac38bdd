// Chromium and Firefox side by side on a site over TLS: what both can do is written once. Knows no site.
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { launch, openPage, DESKTOP_AGENT } from "./browser.mjs";
import { launchFirefox, openFirefoxPage } from "./firefox.mjs";
import { until } from "./server.mjs";

/**
 * Trust in one certificate as if an authority had signed it. To ignore its faults would not do: Chromium sends no
 * report from a page whose certificate has any.
 */
function trust(certificate) {
  const key = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: "spki", format: "der" });
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`;
}

/** Opens both browsers; `visit(name, openVisitor)` runs in one after the other, and `openVisitor(home)` is a fresh visitor's page. */
export async function inBoth(certificate, visit) {
  const chromium = () => launch(DESKTOP_AGENT, [trust(certificate), "--short-reporting-delay"]);
  const facts = {};
  for (const [name, start, openIn] of [["chromium", chromium, openPage], ["firefox", launchFirefox, openFirefoxPage]]) {
    const browser = await start();
    try {
      facts[name] = await visit(name, (home) => openIn(browser, home));
    } finally {
      await browser.close();
    }
  }
  return facts;
}

/** Waits in the page until `check(value)` gives something, over navigations as well. Playwright passes no second value. */
export const untilIn = (page, what, check, value) =>
  until(what, async (note) => {
    let fault = "";
    // A page that is just being replaced has nothing to say.
    const seen = await page.evaluate(check, value).catch((error) => void (fault = `${error}; `));
    if (!seen) note(fault + (await page.evaluate(() => `${location.href}: ${document.body?.innerText.slice(0, 800)}`).catch(String)));
    return seen;
  });

/** Opens an address; resolves with the answer that the page was made from, which `goto` of Firefox does not always know. */
export async function open(page, url) {
  let answer;
  const listen = (response) => {
    if (response.request().isNavigationRequest() && response.url() === url) answer = response;
  };
  page.on("response", listen);
  await page.goto(url);
  await until(`the answer of ${url}`, () => Boolean(answer));
  page.off("response", listen);
  return answer;
}

/** Resolves when the page is whole and our script runs in it. */
export const whenLoaded = (page) =>
  untilIn(page, "the page and our script", () => document.readyState === "complete" && Boolean(window.mainstay?.v));

/** Resolves when the page asks for nothing any more, in Firefox: there, what is under way when a page is left fails loudly. */
export const whenQuiet = (page) => page.waitForNetworkIdle?.();

/** Style sheets, images and fonts of the loaded page that a wrong policy, header or answer would have stopped. */
export const listBroken = (page) =>
  page.evaluate(async () => {
    const broken = [];
    const name = (element) => element.outerHTML.slice(0, 120);
    for (const element of document.querySelectorAll("style, link[rel=stylesheet]"))
      if (!element.sheet?.cssRules.length) broken.push(`style sheet: ${name(element)}`);
    for (const element of document.querySelectorAll("[style]"))
      if (element.getAttribute("style") && !element.style.length) broken.push(`style attribute: ${name(element)}`);
    for (const image of document.images) {
      image.loading = "eager";
      await image.decode().catch(() => {});
      if (!image.naturalWidth) broken.push(`image: ${name(image)}`);
    }
    await document.fonts.ready;
    // A face that only names fonts of the system may find none of them.
    const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter((rule) => rule instanceof CSSFontFaceRule);
    const bare = (family) => family.replaceAll(/["']/g, "");
    const fetched = rules.filter(({ style }) => style.getPropertyValue("src").includes("url(")).map(({ style }) => bare(style.getPropertyValue("font-family")));
    for (const face of document.fonts)
      if (face.status === "error" && fetched.includes(bare(face.family))) broken.push(`font: ${face.family}`);
    return broken;
  });

/** The rows of `/api/v1/{path}` under their keys. */
export const byKey = (rows, field = "key") => Object.fromEntries(rows.map((row) => [row[field], row]));
