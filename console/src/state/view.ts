// Which page, site and stretch of time is looked at, kept in the address's fragment so that a reload keeps it.
import { effect, signal } from "@preact/signals";

export const RANGES = ["live", "24h", "7d", "30d"] as const;

export type Range = (typeof RANGES)[number];

/** `step_s` keeps every chart below 200 points and every read below the limit of 1000 rows. */
export interface Span {
  label: string;
  title: string;
  length_s: number;
  step_s: number;
}

export const SPANS: Record<Exclude<Range, "live">, Span> = {
  "24h": { label: "24 h", title: "Last 24 hours", length_s: 86_400, step_s: 600 },
  "7d": { label: "7 d", title: "Last 7 days", length_s: 7 * 86_400, step_s: 3600 },
  "30d": { label: "30 d", title: "Last 30 days", length_s: 30 * 86_400, step_s: 21_600 },
};

/** The site's numbers, or what they are served and kept by. */
export const PAGES = ["site", "machines"] as const;

export type PageName = (typeof PAGES)[number];

const DEFAULT_SITE = "default";

function readFragment(): { page: PageName; site: string; range: Range } {
  const parts = new URLSearchParams(location.hash.slice(1));
  const range = RANGES.find((name) => name === parts.get("range")) ?? "live";
  const page = PAGES.find((name) => name === parts.get("page")) ?? "site";
  return { page, site: parts.get("site") ?? DEFAULT_SITE, range };
}

const first = readFragment();

export const page = signal<PageName>(first.page);
export const site = signal(first.site);
export const range = signal<Range>(first.range);

/** Falls back to a site that exists when the fragment names another. */
export function settleSite(sites: string[]): void {
  const known = sites[0];
  if (known !== undefined && !sites.includes(site.value)) site.value = known;
}

/** Keeps fragment and signals alike, both ways. */
export function bindFragment(): void {
  effect(() => {
    const parts = new URLSearchParams();
    if (page.value !== "site") parts.set("page", page.value);
    if (site.value !== DEFAULT_SITE) parts.set("site", site.value);
    if (range.value !== "live") parts.set("range", range.value);
    const text = parts.toString();
    if (text !== location.hash.slice(1)) history.replaceState(null, "", text === "" ? location.pathname : `#${text}`);
  });
  addEventListener("hashchange", () => {
    const now = readFragment();
    page.value = now.page;
    site.value = now.site;
    range.value = now.range;
  });
}
