// What happened over a day, a week or a month: every read behind the history view, refreshed once a minute.
import { batch, signal, type Signal } from "@preact/signals";
import type { ErrorRow, KeyedVitalRow, RankRow, TrafficRow, VisitorRow } from "../wire";
import { type List, listRows, listTop, ReadError } from "./read";
import type { Span } from "./view";

const REFRESH_MS = 60_000;
/** Rows of a ranking worth showing; the rest is the API's business. */
const RANK_ROWS = 50;
const DAY_S = "86400";

export type VitalsBy = "page" | "device" | "release";

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
export const errors: Slot<ErrorRow> = slot();
export const vitals: Record<VitalsBy, Slot<KeyedVitalRow>> = { page: slot(), device: slot(), release: slot() };

/** Server time of the last read, and the stretch that was asked for in unix seconds. */
export const asOf = signal<string | null>(null);
export const bounds = signal<{ from: number; to: number }>({ from: 0, to: 0 });

const everySlot: Signal<Read<object>>[] = [
  traffic, visitors, days, pages, sources, devices, countries, errors, vitals.page, vitals.device, vitals.release,
];

async function fill<Row>(target: Slot<Row>, read: Promise<List<Row>>, stop: AbortSignal): Promise<void> {
  try {
    const list = await read;
    target.value = { rows: list.rows, failure: null };
    asOf.value = list.asOf;
  } catch (error) {
    if (stop.aborted) return;
    const failure = error instanceof ReadError ? error.message : "the server did not answer";
    target.value = { rows: target.value.rows, failure };
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
  const series = <Row>(target: Slot<Row>, path: string, step: string): Promise<void> =>
    fill(target, listRows<Row>(path, { ...query, step }, stop), stop);
  const ranking = <Row>(target: Slot<Row>, path: string, more: Record<string, string> = {}): Promise<void> =>
    fill(target, listTop<Row>(path, { ...query, ...more }, RANK_ROWS, stop), stop);
  await Promise.all([
    series(traffic, "/api/v1/traffic", String(span.step_s)),
    series(visitors, "/api/v1/visitors", String(span.step_s)),
    series(days, "/api/v1/visitors", DAY_S),
    ranking(pages, "/api/v1/pages"),
    ranking(sources, "/api/v1/sources"),
    ranking(devices, "/api/v1/devices"),
    ranking(countries, "/api/v1/countries"),
    ranking(errors, "/api/v1/errors"),
    ranking(vitals.device, "/api/v1/vitals", { by: "device" }),
    ranking(vitals.page, "/api/v1/vitals", { by: "page" }),
    ranking(vitals.release, "/api/v1/vitals", { by: "release" }),
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
