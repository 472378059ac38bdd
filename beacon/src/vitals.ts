//! The five web vitals of each load: those that are final go with the next request, the others when the page is hidden.

import { onCLS, onFCP, onINP, onLCP, onTTFB, TTFBThresholds, type MetricType, type TTFBMetric } from "web-vitals";
import { attribute, watchAttribution } from "./attribution.js";
import { guard } from "./guard.js";
import { loaded, type Page } from "./page.js";
import { isPrivate } from "./privacy.js";
import { add, sendSoon } from "./transport.js";

/** How long an early vital waits for others to travel with, in ms. */
const companyMs = 500;

/** What is still to be queued, by name. */
const latest = new Map<string, [Page, object]>();

/** The view whose TTFB is known. */
let timed: Page | undefined;

/** Registers with web-vitals. Its listeners must be in place before the visitor acts, so call this at once. */
export const watchVitals = (): void => {
  guard(watchAttribution)();
  // Every change is taken: the report of an interaction right before hiding may be the only one.
  const opts = { reportAllChanges: true };
  // The same value twice would be the same report twice.
  guard(() => onTTFB((metric) => timed === loaded || keep(metric), opts))();
  guard(() => onFCP(keep, opts))();
  guard(() => onLCP(keep, opts))();
  guard(() => onCLS(keep, opts))();
  guard(() => onINP(keep, opts))();
};

/**
 * Queues what cannot change any more: a page that is slow, or that its system ends without a word, is known by it.
 * A later report of the others would replace an early one in the store, but not in counters.
 */
export const collectFinal = (): void => {
  // Nothing is sent of a page that nobody has seen yet.
  if (loaded.url) {
    guard(readTtfb)();
    collect("TTFB");
    collect("FCP");
  }
};

/** Queues every vital that changed since the last time. */
export const collectVitals = (): void => {
  collectFinal();
  for (const name of latest.keys()) collect(name);
};

/** web-vitals waits for `load` before it reads TTFB, which a slow page may never reach. Same rules as there. */
const readTtfb = (): void => {
  const [entry] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  // Browsers withhold the time as 0, and some have given one that is yet to come.
  if (timed || !entry || !(entry.responseStart > 0 && entry.responseStart < performance.now())) return;
  const activation = entry.activationStart || 0;
  const value = Math.max(0, entry.responseStart - activation);
  const [good, fair] = TTFBThresholds;
  keep({
    name: "TTFB",
    value,
    rating: value > fair ? "poor" : value > good ? "needs-improvement" : "good",
    navigationType: activation ? "prerender" : document.wasDiscarded ? "restore" : entry.type.replace("_", "-"),
    entries: [entry],
  } as unknown as TTFBMetric);
};

const collect = (name: string): void => {
  const vital = latest.get(name);
  if (vital) add(vital[0], "vital", vital[1]);
  latest.delete(name);
};

const keep = guard((metric: MetricType): void => {
  const { name, value, rating, navigationType } = metric;
  let attr;
  guard(() => {
    if (!isPrivate) attr = attribute(metric);
  })();
  // Four decimals: CLS has no unit and is small, the others are milliseconds.
  latest.set(name, [loaded, { name, value: Math.round(value * 1e4) / 1e4, rating, nav: navigationType, attr }]);
  if (name === "TTFB") timed = loaded;
  // The first request may be gone, and the next one may never come.
  if (name === "FCP" && loaded.url) sendSoon(companyMs);
});
