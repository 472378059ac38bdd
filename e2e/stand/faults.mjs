// What a page must not do, written down while it happens, in Chromium and in Firefox: console errors and warnings,
// uncaught errors, requests that go elsewhere, fail or are refused. Policy violations are added by the page itself.
// Knows no site.
import { until } from "./server.mjs";

/** How each browser names a request that it gave up itself: the page that asked was left, or asked no longer. */
const CANCELLED = ["net::ERR_ABORTED", "NS_BINDING_ABORTED"];
/** Stopped by the page's policy, in Chromium's words; the violation says more. */
const BLOCKED = ["csp", "net::ERR_BLOCKED_BY_CSP"];
/**
 * What Next.js writes when an address that it asked for beforehand does not come. Firefox lets a page that is being
 * left still say so, of requests it gave up and even of some that were answered just then. These words of a page that
 * stays are a fault; a request that fails or is refused is one at any time, by what the browser tells of it.
 */
const NOT_FETCHED = /^console: Failed to fetch RSC payload for (\S+)\. Falling back to browser navigation\./;

/** An address without the parameter with which Next.js keeps caches apart. */
function nameAddress(text) {
  const url = new URL(text);
  url.searchParams.delete("_rsc");
  return url.href;
}

/** Whether the page is on its way to another address: from the order to go until the new page is loaded. */
function watchDepartures(page) {
  let departures = 0;
  const go = page.goto.bind(page);
  page.goto = async (...to) => {
    departures += 1;
    try {
      return await go(...to);
    } finally {
      departures -= 1;
    }
  };
  return () => departures > 0;
}

/**
 * Writes down what a page does from now on; requests to other hosts than `home` are faults. `cancelled` gathers the
 * addresses of what the browser gave up, once for each time.
 */
export function watchPage(page, home) {
  const [faults, cancelled, visited] = [[], [], new Set()];
  const isLeft = watchDepartures(page);
  page.on("console", (message) => {
    const { url } = message.location() ?? {};
    // Chromium writes one such line for a page whose own status is 404.
    const own = visited.has(url) && message.text().includes("status of 404");
    const fault = `console: ${message.text()} ${url}`;
    if (!["error", "warn", "warning"].includes(message.type()) || own || (isLeft() && NOT_FETCHED.test(fault))) return;
    faults.push(fault);
  });
  page.on("pageerror", (error) => faults.push(`uncaught: ${error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (request.isNavigationRequest()) visited.add(url.href);
    if (url.origin !== home && !["data:", "about:", "blob:"].includes(url.protocol)) faults.push(`foreign: ${url}`);
  });
  page.on("response", (response) => {
    const status = response.status();
    if (status >= 400 && !(status === 404 && response.request().isNavigationRequest())) faults.push(`status: ${status} of ${response.url()}`);
  });
  page.on("requestfailed", (request) => {
    const reason = request.failure()?.errorText ?? "no reason";
    if (CANCELLED.includes(reason)) cancelled.push(nameAddress(request.url()));
    else if (!BLOCKED.includes(reason)) faults.push(`failed: ${reason} at ${request.url()}`);
  });
  return { faults, cancelled };
}

/**
 * Takes what was written down so far. Words of a page that is gone may come late: they count only where the browser had
 * not given the request up, which may be told after them.
 */
export async function takeFaults({ faults, cancelled }) {
  const explain = () => {
    for (const fault of faults.slice()) {
      const address = fault.match(NOT_FETCHED)?.[1];
      const at = address ? cancelled.indexOf(nameAddress(address)) : -1;
      if (at < 0) continue;
      cancelled.splice(at, 1);
      faults.splice(faults.indexOf(fault), 1);
    }
    return !faults.some((fault) => NOT_FETCHED.test(fault));
  };
  // What stays unexplained is a fault, and told as such.
  await until("the end of each request", explain).catch(() => {});
  return faults.splice(0);
}
