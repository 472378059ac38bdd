//! The five web vitals of each load: the last value per name, handed over when the page is hidden.

import { onCLS, onFCP, onINP, onLCP, onTTFB, type MetricType } from "web-vitals";
import { attribute, watchAttribution } from "./attribution.js";
import { guard } from "./guard.js";
import { loaded, type Page } from "./page.js";
import { isPrivate } from "./privacy.js";
import { add } from "./transport.js";

const latest = new Map<string, [Page, object]>();

/** Registers with web-vitals. Its listeners must be in place before the visitor acts, so call this at once. */
export const watchVitals = (): void => {
  guard(watchAttribution)();
  // Every change is taken: the report of an interaction right before hiding may be the only one.
  const opts = { reportAllChanges: true };
  guard(() => onTTFB(keep, opts))();
  guard(() => onFCP(keep, opts))();
  guard(() => onLCP(keep, opts))();
  guard(() => onCLS(keep, opts))();
  guard(() => onINP(keep, opts))();
};

/** Queues every vital that changed since the last time. */
export const collectVitals = (): void => {
  latest.forEach(([page, vital]) => add(page, "vital", vital));
  latest.clear();
};

const keep = guard((metric: MetricType): void => {
  const { name, value, rating, navigationType } = metric;
  let attr;
  guard(() => {
    if (!isPrivate) attr = attribute(metric);
  })();
  // Four decimals: CLS has no unit and is small, the others are milliseconds.
  latest.set(name, [loaded, { name, value: Math.round(value * 1e4) / 1e4, rating, nav: navigationType, attr }]);
});
