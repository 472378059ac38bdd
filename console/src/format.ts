// Numbers and times as text; a missing value is always the same dash. Nothing here reads state or the DOM.
import type { Cell } from "./wire";

export const MISSING = "–";

/** Milliseconds below this are told in microseconds: a file from memory takes a few. */
const MICRO_BELOW = 0.1;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function known(value: Cell | undefined): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/** Digits that keep three significant ones below 100 without trailing zeros at zero. */
function digits(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) < 1) return value.toFixed(2);
  if (Math.abs(value) < 10) return value.toFixed(1);
  return whole.format(value);
}

export function count(value: Cell | undefined): string {
  if (!known(value)) return MISSING;
  return Math.abs(value) < 100_000 ? whole.format(value) : compact.format(value);
}

/** A per-second value without its unit. */
export function rate(value: Cell | undefined): string {
  if (!known(value)) return MISSING;
  if (Number.isInteger(value) || value >= 100) return count(value);
  return value < 0.1 ? value.toFixed(2) : value.toFixed(1);
}

/** `share` is 0 to 1. */
export function percent(share: Cell | undefined): string {
  if (!known(share)) return MISSING;
  const value = share * 100;
  if (value === 0) return "0 %";
  if (value < 0.1) return "< 0.1 %";
  return `${value < 10 ? value.toFixed(1) : whole.format(value)} %`;
}

export function milliseconds(value: Cell | undefined): string {
  if (!known(value)) return MISSING;
  if (value >= 1000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
  return value > 0 && value < MICRO_BELOW ? `${whole.format(Math.max(value * 1000, 1))} µs` : `${digits(value)} ms`;
}

/** An axis label: the shortest text of a round value. */
export function millisecondsTick(value: number): string {
  if (value >= 1000) return `${Number((value / 1000).toPrecision(3))} s`;
  return value > 0 && value < MICRO_BELOW ? `${Number((value * 1000).toPrecision(3))} µs` : `${Number(value.toPrecision(3))} ms`;
}

/** A web vital in its own unit: milliseconds from a browser are whole, CLS has none. */
export function vital(name: string, value: Cell | undefined): string {
  if (!known(value)) return MISSING;
  if (name === "CLS") return value === 0 ? "0" : value.toFixed(value < 0.1 ? 3 : 2);
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${whole.format(value)} ms`;
}

export function bytes(value: Cell | undefined): string {
  if (!known(value)) return MISSING;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? whole.format(size) : size.toFixed(1)} ${units[unit] ?? ""}`;
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** Local wall time of a unix second, `14:03` or `14:03:09`. */
export function clock(seconds: number): string {
  const at = new Date(seconds * 1000);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

export function clockSeconds(seconds: number): string {
  return `${clock(seconds)}:${pad(new Date(seconds * 1000).getSeconds())}`;
}

export function day(seconds: number): string {
  const at = new Date(seconds * 1000);
  return `${at.getDate()} ${months[at.getMonth()] ?? ""}`;
}

export function dayClock(seconds: number): string {
  return `${day(seconds)} ${clock(seconds)}`;
}

/** A length of time in its two largest units. */
export function duration(seconds: Cell | undefined): string {
  if (!known(seconds)) return MISSING;
  const total = Math.max(0, Math.floor(seconds));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  if (total < 86_400) return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
  return `${Math.floor(total / 86_400)} d ${Math.floor((total % 86_400) / 3600)} h`;
}

/** How long before `nowMs` an RFC 3339 time was, in one unit. */
export function ago(time: string, nowMs: number): string {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return MISSING;
  const seconds = Math.max(0, Math.round((nowMs - at) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** `header_too_large` as words. */
export function words(key: string): string {
  return key.replaceAll("_", " ");
}

/** "1 visitor", "2 visitors". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
