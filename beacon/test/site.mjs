//! A small site that serves the built scripts and collects what they post, and the Chromium that visits it.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

export const browserArgs = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

const dist = new URL("../dist/", import.meta.url);

/** A bitmap with enough bits per pixel to count as a largest contentful paint. */
function drawNoise(width, height) {
  const bytes = Buffer.alloc(54 + width * height * 3, 0);
  bytes.write("BM");
  bytes.writeUInt32LE(bytes.length, 2);
  for (const [value, offset] of [[54, 10], [40, 14], [width, 18], [height, 22]]) bytes.writeUInt32LE(value, offset);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28);
  for (let at = 54; at < bytes.length; at++) bytes[at] = (at * 2654435761) >>> 24;
  return bytes;
}

/** The tag as the server inserts it; the prefix is not the default one on purpose. */
async function writeTag(file) {
  const hash = createHash("sha384").update(await readFile(new URL(file, dist))).digest("base64");
  const src = `/inner/prefix/${file}?v=${hash.slice(0, 16).replaceAll("/", "_")}`;
  return `<script async src="${src}" integrity="sha384-${hash}" data-site="shop" data-release="r7"></script>`;
}

/** How long a test waits for a batch. Without an end a failure would leave server and browser open, and the run with them. */
const DEADLINE_MS = 30_000;

/**
 * Starts a site. `html` is the body of every page, `head` what stands before our tag, `answer(n)` the
 * `[status, headers]` of the n-th batch.
 */
export async function startSite({ file = "m.js", html = "<h1>page</h1>", head = "", answer = () => [204, {}] } = {}) {
  const tag = await writeTag(file);
  const requests = [];
  const waiting = new Set();
  const server = createServer(async (request, response) => {
    const path = request.url.split("?")[0];
    if (path.endsWith("/events")) {
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      const { method, headers, url } = request;
      requests.push({ method, headers, url, body, batch: body ? JSON.parse(body) : undefined });
      response.writeHead(...answer(requests.length - 1)).end();
      for (const check of waiting) check();
    } else if (path.endsWith(".js")) {
      response.writeHead(200, { "content-type": "text/javascript" });
      response.end(await readFile(new URL(path.split("/").at(-1), dist)));
    } else if (path.endsWith(".never")) {
      // What a page waits for and does not get: its load event does not come.
      request.resume();
    } else if (path.endsWith(".bmp")) {
      response.writeHead(200, { "content-type": "image/bmp" }).end(drawNoise(300, 200));
    } else {
      response.writeHead(200, { "content-type": "text/html", "set-cookie": "theirs=1; Path=/" });
      response.end(`<!doctype html><html><head><meta charset=utf-8>${head}${tag}</head><body>${html}</body></html>`);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const events = (type) =>
    requests.flatMap(({ batch }) =>
      (batch?.events ?? []).filter((event) => !type || event.type === type).map((event) => ({ ...event, of: batch })),
    );
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    requests,
    events,
    /** Resolves with the first truthy value of `read`, looking again after every batch. */
    until: (read) =>
      new Promise((resolve, reject) => {
        const end = setTimeout(() => {
          waiting.delete(check);
          const came = requests.map(({ batch }) => batch?.events.map(({ type, name }) => name ?? type));
          reject(new Error(`never: ${read}; came: ${JSON.stringify(came)}`));
        }, DEADLINE_MS);
        const check = () => {
          const value = read();
          if (!value) return;
          waiting.delete(check);
          clearTimeout(end);
          resolve(value);
        };
        waiting.add(check);
        check();
      }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Starts the browser; the back/forward cache, which automation switches off, stays on. */
export const startBrowser = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    args: browserArgs,
  });

/**
 * Headless Chromium hides no tab. This replaces what `document` says and tells everybody; pages that must be
 * hidden for real are navigated away.
 */
export const scriptedVisibility = `
  let hidden = !!window.startHidden;
  Object.defineProperty(document, "hidden", { get: () => hidden });
  Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
  window.setHidden = (value) => {
    hidden = value;
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  };`;

/** Resolves when the script runs in the page. */
export const whenInstalled = (page) => page.waitForFunction(() => window.mainstay?.v);

/** Runs a visit to a fresh site in a fresh browser context, and closes both. `waitUntil` is how far the page must be. */
export async function visit(browser, { scripts = [], waitUntil = "load", ...options }, path, run) {
  const site = await startSite(options);
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  for (const script of scripts) await context.addInitScript(script);
  const page = await context.newPage();
  try {
    await page.goto(site.origin + path, { waitUntil });
    await run(site, page, context);
  } finally {
    await context.close();
    await site.close();
  }
}
