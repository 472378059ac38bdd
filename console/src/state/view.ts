// Which page, site, stretch of time and queue is looked at, kept in the address's fragment so that a reload keeps it.
import { effect, signal } from "@preact/signals";
import type { JobStatus } from "../wire";

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

/** The site's numbers, the work that can wait, or what everything is served and kept by. */
export const PAGES = ["site", "jobs", "machines"] as const;

export type PageName = (typeof PAGES)[number];

/** How a job may stand, those that want somebody first. */
export const STATUSES = ["failed", "dead", "waiting", "active", "delayed", "completed"] as const satisfies readonly JobStatus[];

const DEFAULT_SITE = "default";
const DEFAULT_STATUS: JobStatus = "failed";

interface Place {
  page: PageName;
  site: string;
  range: Range;
  /** Null: the first one. */
  queue: string | null;
  status: JobStatus;
}

function readFragment(): Place {
  const parts = new URLSearchParams(location.hash.slice(1));
  const range = RANGES.find((name) => name === parts.get("range")) ?? "live";
  const page = PAGES.find((name) => name === parts.get("page")) ?? "site";
  const status = STATUSES.find((name) => name === parts.get("status")) ?? DEFAULT_STATUS;
  return { page, site: parts.get("site") ?? DEFAULT_SITE, range, queue: parts.get("queue"), status };
}

const first = readFragment();

export const page = signal<PageName>(first.page);
export const site = signal(first.site);
export const range = signal<Range>(first.range);
export const queue = signal<string | null>(first.queue);
export const status = signal<JobStatus>(first.status);

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
    if (page.value === "jobs") {
      if (queue.value !== null) parts.set("queue", queue.value);
      if (status.value !== DEFAULT_STATUS) parts.set("status", status.value);
    }
    const text = parts.toString();
    if (text !== location.hash.slice(1)) history.replaceState(null, "", text === "" ? location.pathname : `#${text}`);
  });
  addEventListener("hashchange", () => {
    const now = readFragment();
    page.value = now.page;
    site.value = now.site;
    range.value = now.range;
    if (now.page === "jobs") {
      queue.value = now.queue;
      status.value = now.status;
    }
  });
}
