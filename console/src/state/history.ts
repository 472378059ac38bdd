// What happened over a day, a week or a month: every read behind the history view, refreshed once a minute.
import { batch, signal, type Signal } from "@preact/signals";
import type { ErrorRow, EventRow, KeyedVitalRow, RankRow, ReportRow, TrafficRow, VisitorRow } from "../wire";
import { failureOf, type List, listRows, listTop } from "./read";
import type { Span } from "./view";

const REFRESH_MS = 60_000;
/** Rows of a list worth showing; the rest is the API's business. */
export const RANK_ROWS = 50;
const DAY_S = "86400";

export type VitalsBy = "site" | "page" | "device" | "release";

const VITALS_BY: readonly VitalsBy[] = ["site", "page", "device", "release"];

/** Rows of one read; `rows` stay while a refresh runs or fails. */
export interface Read<Row> {
  rows: Row[] | null;
  failure: string | null;
}

type Slot<Row> = Signal<Read<Row>>;

function slot<Row>(): Slot<Row> {
  return signal<Read<Row>>({ rows: null, failure: null });
}

export const traffic: Slot<TrafficRow> = slot();
export const visitors: Slot<VisitorRow> = slot();
/** By day: visitor ids rotate daily, so a day is the longest stretch over which visitors are counted once. */
export const days: Slot<VisitorRow> = slot();
export const pages: Slot<RankRow> = slot();
export const sources: Slot<RankRow> = slot();
export const devices: Slot<RankRow> = slot();
export const countries: Slot<RankRow> = slot();
export const events: Slot<EventRow> = slot();
export const errors: Slot<ErrorRow> = slot();
export const reports: Slot<ReportRow> = slot();
export const vitals: Record<VitalsBy, Slot<KeyedVitalRow>> = { site: slot(), page: slot(), device: slot(), release: slot() };

/** Server time of the last read, and the stretch that was asked for in unix seconds. */
export const asOf = signal<string | null>(null);
export const bounds = signal<{ from: number; to: number }>({ from: 0, to: 0 });

const everySlot: Signal<Read<object>>[] = [
  traffic, visitors, days, pages, sources, devices, countries, events, errors, reports, ...Object.values(vitals),
];

async function fill<Row>(target: Slot<Row>, read: Promise<List<Row>>, stop: AbortSignal): Promise<void> {
  try {
    const list = await read;
    target.value = { rows: list.rows, failure: null };
    asOf.value = list.asOf;
  } catch (error) {
    if (stop.aborted) return;
    target.value = { rows: target.value.rows, failure: failureOf(error) };
  }
}

/** The whole steps that cover `span` up to now. */
function boundsOf(span: Span): { from: number; to: number } {
  const to = Math.ceil(Date.now() / 1000);
  return { from: Math.floor((to - span.length_s) / span.step_s) * span.step_s, to };
}

async function refresh(site: string, span: Span, stop: AbortSignal): Promise<void> {
  const { from, to } = (bounds.value = boundsOf(span));
  const rfc3339 = (seconds: number): string => new Date(seconds * 1000).toISOString();
  const query = { site, from: rfc3339(from), to: rfc3339(to) };
  const whole = <Row>(target: Slot<Row>, path: string, more: Record<string, string> = {}): Promise<void> =>
    fill(target, listRows<Row>(path, { ...query, ...more }, stop), stop);
  const ranking = <Row>(target: Slot<Row>, path: string): Promise<void> =>
    fill(target, listTop<Row>(path, query, RANK_ROWS, stop), stop);
  const step = { step: String(span.step_s) };
  await Promise.all([
    whole(traffic, "/api/v1/traffic", step),
    whole(visitors, "/api/v1/visitors", step),
    whole(days, "/api/v1/visitors", { step: DAY_S }),
    ranking(pages, "/api/v1/pages"),
    ranking(sources, "/api/v1/sources"),
    ranking(devices, "/api/v1/devices"),
    ranking(countries, "/api/v1/countries"),
    ranking(events, "/api/v1/events"),
    ranking(reports, "/api/v1/reports"),
    // Ordered by time there and by visitors here; a vital is a row, so a cut would leave keys without their rarer ones.
    whole(errors, "/api/v1/errors"),
    ...VITALS_BY.map((by) => whole(vitals[by], "/api/v1/vitals", { by })),
  ]);
}

/** Reads `span` of `site` now and every minute until the returned function is called. */
export function followSpan(site: string, span: Span): () => void {
  batch(() => {
    for (const each of everySlot) each.value = { rows: null, failure: null };
    asOf.value = null;
  });
  const stop = new AbortController();
  void refresh(site, span, stop.signal);
  const timer = setInterval(() => void refresh(site, span, stop.signal), REFRESH_MS);
  return () => {
    clearInterval(timer);
    stop.abort();
  };
}
