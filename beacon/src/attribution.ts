//! Why a web vital is what it is: the element, resource and phases behind the value, picked from its entries.

import type { CLSMetric, INPMetric, LCPMetric, MetricType, TTFBMetric } from "web-vitals";
import { withoutOrigin, withoutQuery } from "./privacy.js";
import { watchRecent } from "./recent.js";

/** Texts and numbers (ms unless said otherwise) by name; undefined ones are left out on the wire. */
export type Attribution = Record<string, string | number | undefined>;

const selectorCharsMax = 100;

/** A frame of https://w3c.github.io/long-animation-frames/, as far as we read it. */
type FrameTiming = PerformanceEntry & { scripts: { startTime: number; duration: number; sourceURL: string }[] };

let listFrames: () => FrameTiming[] = () => [];
let listEvents: () => PerformanceEventTiming[] = () => [];

/** Starts watching what attribution needs besides the entries of a metric. */
export const watchAttribution = (): void => {
  listFrames = watchRecent("long-animation-frame");
  listEvents = watchRecent("event");
};

/** Attribution of one metric; none after a restore from the back/forward cache, which has no entries. */
export const attribute = (metric: MetricType): Attribution | undefined => {
  if (!metric.entries.length) return;
  switch (metric.name) {
    case "LCP":
      return attributeLcp(metric);
    case "INP":
      return attributeInp(metric);
    case "CLS":
      return attributeCls(metric);
    case "TTFB":
      return attributeTtfb(metric);
  }
  return;
};

/** The phases of https://web.dev/articles/optimize-lcp; they add up to the value. */
const attributeLcp = ({ value, entries }: LCPMetric): Attribution => {
  const { element, url } = entries.at(-1)!;
  const [nav] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const resource = performance.getEntriesByName(url, "resource").at(-1) as PerformanceResourceTiming | undefined;
  const activation = nav?.activationStart || 0;
  const ttfb = Math.max(0, (nav?.responseStart || 0) - activation);
  const begun = Math.max(ttfb, resource ? (resource.requestStart || resource.startTime) - activation : 0);
  const done = Math.min(value, Math.max(begun, resource ? resource.responseEnd - activation : 0));
  return {
    element: describe(element),
    url: describeUrl(url),
    ttfb: round(ttfb),
    delay: round(begun - ttfb),
    load: round(done - begun),
    render: round(value - done),
  };
};

/**
 * The phases of https://web.dev/articles/optimize-inp and the script that took longest in them. All events of
 * the interaction's frame count: often it is `pointerup` that lasted longest and `click` that did the work.
 */
const attributeInp = ({ value, entries }: INPMetric): Attribution => {
  const { startTime, name } = entries[0]!;
  const end = startTime + value;
  const events = listEvents()
    .filter((event) => event.processingStart >= startTime && event.processingEnd <= end)
    .concat(entries);
  const begun = Math.min(...events.map((event) => event.processingStart));
  const done = Math.min(end, Math.max(...events.map((event) => event.processingEnd)));
  const [script] = listFrames()
    .flatMap(({ scripts }) => scripts)
    .filter((script) => script.startTime < end && script.startTime + script.duration > startTime)
    .sort((a, b) => b.duration - a.duration);
  return {
    element: describe(entries.concat(events).find((event) => event.target)?.target),
    kind: name.startsWith("key") ? "keyboard" : "pointer",
    delay: round(begun - startTime),
    process: round(done - begun),
    render: round(end - done),
    script: describeUrl(script?.sourceURL),
    scriptMs: script && round(script.duration),
  };
};

/** The largest single shift: `shift` is its score, without unit, `at` its time. */
const attributeCls = ({ entries }: CLSMetric): Attribution => {
  const worst = entries.reduce((a, b) => (b.value > a.value ? b : a));
  const source = worst.sources.find(({ node }) => node);
  return { element: describe(source?.node), at: round(worst.startTime), shift: Math.round(worst.value * 1e4) / 1e4 };
};

/** Waiting includes redirects, service worker and cache; the four add up to the value. */
const attributeTtfb = ({ value, entries }: TTFBMetric): Attribution => {
  const nav = entries[0] as PerformanceNavigationTiming;
  const since = (time: number) => Math.max(0, time - (nav.activationStart || 0));
  const dns = since(nav.domainLookupStart);
  const connect = since(nav.connectStart);
  const request = since(nav.connectEnd);
  return {
    wait: round(dns),
    dns: round(connect - dns),
    connect: round(request - connect),
    request: round(value - request),
  };
};

const round = (ms: number): number => Math.round(ms * 10) / 10;

/** Inline images would be their own content. */
const describeUrl = (url = ""): string | undefined =>
  url.startsWith("data:") ? "data:" : withoutOrigin(withoutQuery(url)) || undefined;

/** A short selector: up to the nearest id, at most 100 characters, never text content or attribute values. */
const describe = (node?: Node | null): string | undefined => {
  let selector = "";
  for (let next = node; next && next !== document; next = next.parentNode) {
    // A text that moved is its element's affair.
    if (!(next instanceof Element)) continue;
    const part = next.id ? "#" + next.id : [next.localName, ...next.classList].join(".");
    if (selector.length + part.length >= selectorCharsMax) break;
    selector = selector ? part + ">" + selector : part;
    if (next.id) break;
  }
  return selector || undefined;
};
