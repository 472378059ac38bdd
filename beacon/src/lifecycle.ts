//! When a page view begins and ends: load, prerender, background tab, in-page navigation, back/forward cache, hide.

import { collectEngagement, measure, resetEngagement, watchEngagement } from "./engagement.js";
import { guard, listen } from "./guard.js";
import { current, openLoadedPage, openPage } from "./page.js";
import { readPageUrl } from "./privacy.js";
import { add, flush, sendSoon } from "./transport.js";

/** How long a page leaves the network to its own resources before its view is sent, in ms. */
const loadGraceMs = 500;

/** False until the visitor has seen the page: a background tab or prerender that never is counts for nothing. */
let seen = false;

/** What to queue, besides engagement, when the page is hidden. */
let collectMore: (() => void) | undefined;

/** Begins the first page view. */
export const watchLifecycle = (collect?: () => void): void => {
  collectMore = collect;
  openLoadedPage(0);
  watchEngagement();
  watchHistory();
  // On the document: the event passes web-vitals on `window` first, which then has its final values.
  // A prerendered page gets this event, too, when the visitor activates it.
  listen(document, "visibilitychange", () => (document.hidden ? hide() : show()));
  listen(window, "pageshow", (event: PageTransitionEvent) => {
    if (event.persisted) {
      openLoadedPage();
      count();
    }
  });
  show();
};

/** Queues the last known of everything and sends it: the page may be gone the next moment. */
export const hide = (): void => {
  if (seen) {
    collectEngagement();
    collectMore?.();
    flush();
  }
};

const show = (): void => {
  measure();
  if (!seen && !document.hidden) count();
};

const count = (): void => {
  seen = true;
  current.url = readPageUrl();
  resetEngagement();
  add(current, "pageview", { t: 0 });
  sendSoon(loadGraceMs);
};

/** Counts in-page navigation by path; frameworks rewrite query and fragment for reasons of their own. */
const watchHistory = (): void => {
  let path = location.pathname;
  const navigated = guard((): void => {
    if (path === (path = location.pathname)) return;
    if (!seen) return;
    collectEngagement();
    openPage(current.url!);
    count();
  });
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...args) {
      original.apply(this, args);
      navigated();
    };
  }
  listen(window, "popstate", navigated);
};
