// Chromium and Firefox side by side on a site over TLS: what both can do is written once. Knows no site.
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { launch, openPage, DESKTOP_AGENT } from "./browser.mjs";
import { launchFirefox, openFirefoxPage } from "./firefox.mjs";
import { endAfter, until, within } from "./server.mjs";

/**
 * Trust in one certificate as if an authority had signed it. To ignore its faults would not do: Chromium sends no
 * report from a page whose certificate has any.
 */
function trust(certificate) {
  const key = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: "spki", format: "der" });
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`;
}

/** For both browsers together; whoever starts this process waits a little longer. */
const DEADLINE_MS = 180_000;

/**
 * Opens both browsers; `visit(name, openVisitor)` runs in one after the other, and `openVisitor(home)` is a
 * fresh visitor's page. A browser of a visit that fails ends with this process.
 */
export async function inBoth(certificate, visit) {
  const chromium = () => launch(DESKTOP_AGENT, [trust(certificate), "--short-reporting-delay"]);
  endAfter(DEADLINE_MS);
  const facts = {};
  for (const [name, start, openIn] of [["chromium", chromium, openPage], ["firefox", launchFirefox, openFirefoxPage]]) {
    const browser = await within(`the start of ${name}`, start());
    facts[name] = await visit(name, (home) => openIn(browser, home));
    await within(`the end of ${name}`, browser.close());
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
  await within(`a load of ${url}`, page.goto(url));
  await until(`the answer of ${url}`, () => Boolean(answer));
  page.off("response", listen);
  return answer;
}

/** Resolves when the page is whole and our script runs in it. */
export const whenLoaded = (page) =>
  untilIn(page, "the page and our script", () => document.readyState === "complete" && Boolean(window.mainstay?.v));

/** Writes into an empty field as a visitor does. Puppeteer's own way asks for `eval` in the page, which its policy forbids. */
export async function fill(page, selector, words) {
  await page.click(selector);
  await page.keyboard.type(words);
}

/** The browser's Back within one document. Firefox before 141 never tells Puppeteer that its own is done. */
export const goBack = (page) => within("a step back", page.evaluate(() => history.back()));

/** Style sheets, images and fonts of the loaded page that a wrong policy, header or answer would have stopped. */
export const listBroken = (page) => within(`what is broken at ${page.url()}`, page.evaluate(findBroken));

async function findBroken() {
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
}

/** The rows of `/api/v1/{path}` under their keys. */
export const byKey = (rows, field = "key") => Object.fromEntries(rows.map((row) => [row[field], row]));
