//! How long the visitor really looked at the page view and how far they scrolled; totals only, never a trace.

import { listen } from "./guard.js";
import { current } from "./page.js";
import { isPrivate } from "./privacy.js";
import { add } from "./transport.js";

/** Growth worth another report: this many ms, or one percent of scrolling. */
const growthMs = 100;

/** Attention so far, in ms. */
let total = 0;
/** The lowest part of the page seen so far, in percent of its height. */
let depth = 0;
/** What was reported last: `total`, and `growthMs` for each percent of `depth`. */
let reported = 0;
/** When the present stretch of attention began; 0 while there is none. */
let since = 0;

/** Starts watching focus and scrolling. */
export const watchEngagement = (): void => {
  for (const type of ["focus", "blur", "scroll"]) listen(window, type, measure);
};

/** Begins again at zero for a new page view. */
export const resetEngagement = (): void => {
  measure();
  total = depth = reported = 0;
};

/** Queues the totals of the current view when they grew since the last report. */
export const collectEngagement = (): void => {
  measure();
  const grown = total + depth * growthMs;
  if (!isPrivate && grown - reported >= growthMs) {
    reported = grown;
    add(current, "engagement", { ms: Math.round(total), scroll: depth });
  }
};

/**
 * Closes the present stretch of attention, begins the next if the visitor is still here, and looks how far
 * down they are. Focus may lie in a frame of the page: `hasFocus` says so, the event does not.
 */
export const measure = (): void => {
  const now = performance.now();
  if (since) total += now - since;
  since = !document.hidden && document.hasFocus() ? now : 0;
  const seen = (scrollY + innerHeight) / document.documentElement.scrollHeight;
  // A frame without size has no depth: 0 / 0.
  depth = Math.max(depth, Math.min(100, Math.round(seen * 100) || 0));
};
