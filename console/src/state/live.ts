// The live stream: one EventSource per visible tab, its last snapshot, its five minutes, and how fresh they are.
import { computed, signal } from "@preact/signals";
import { append, emptyTimeline, fromHistory } from "../timeline";
import { isHistory, isSnapshot, parseJson, type Snapshot } from "../wire";
import { checkSession } from "./session";

/** Silence after which the page says that it shows old numbers. */
export const STALE_AFTER_MS = 3000;
/** Silence after which the connection is taken for dead and opened anew. */
const REOPEN_AFTER_MS = 10_000;
/** A hidden tab gives its connection back after this long: browsers allow six per host over HTTP/1.1. */
const HIDDEN_CLOSE_MS = 30_000;
const TICK_MS = 500;
const RETRY_MS_MAX = 10_000;

export const snapshot = signal<Snapshot | null>(null);
export const timeline = signal(emptyTimeline());

const heardAt = signal(0);
const tick = signal(0);

/** Seconds without a snapshot, null while they arrive. */
export const staleSeconds = computed<number | null>(() => {
  const silent = tick.value - heardAt.value;
  return silent > STALE_AFTER_MS ? Math.floor(silent / 1000) : null;
});

function sequenceOf(event: MessageEvent<string>): number | null {
  const value = Number.parseInt(event.lastEventId, 10);
  return Number.isNaN(value) ? null : value;
}

class Stream {
  readonly #site: string;
  #source: EventSource | null = null;
  #openedAt = 0;
  #failures = 0;
  #retry: number | undefined;
  #hiding: number | undefined;
  readonly #clock: number;
  readonly #onVisibility = (): void => this.#followVisibility();

  constructor(site: string) {
    this.#site = site;
    this.#clock = setInterval(() => this.#watch(), TICK_MS);
    document.addEventListener("visibilitychange", this.#onVisibility);
    heardAt.value = tick.value = performance.now();
    this.#open();
  }

  close(): void {
    clearInterval(this.#clock);
    clearTimeout(this.#hiding);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#disconnect();
  }

  #open(): void {
    this.#disconnect();
    this.#openedAt = performance.now();
    const source = new EventSource(`/api/v1/live?${new URLSearchParams({ site: this.#site }).toString()}`);
    source.addEventListener("history", (event: MessageEvent<string>) => {
      const data = parseJson(event.data);
      if (isHistory(data)) timeline.value = fromHistory(data);
    });
    source.addEventListener("snapshot", (event: MessageEvent<string>) => this.#accept(event));
    source.addEventListener("error", () => this.#onError(source));
    this.#source = source;
  }

  #disconnect(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#source?.close();
    this.#source = null;
  }

  #accept(event: MessageEvent<string>): void {
    const data = parseJson(event.data);
    if (!isSnapshot(data)) return;
    this.#failures = 0;
    heardAt.value = tick.value = performance.now();
    snapshot.value = data;
    timeline.value = append(timeline.value, data, sequenceOf(event));
  }

  /** The browser resumes a dropped connection by itself (Last-Event-ID); a refused one it gives up, so we ask why. */
  #onError(source: EventSource): void {
    if (source !== this.#source || source.readyState !== EventSource.CLOSED) return;
    this.#disconnect();
    const wait = Math.min(RETRY_MS_MAX, 1000 * 2 ** this.#failures);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#open(), wait);
    void checkSession();
  }

  #watch(): void {
    tick.value = performance.now();
    const silentSince = Math.max(heardAt.value, this.#openedAt);
    if (this.#source !== null && tick.value - silentSince > REOPEN_AFTER_MS) this.#open();
  }

  #followVisibility(): void {
    clearTimeout(this.#hiding);
    if (document.hidden) this.#hiding = setTimeout(() => this.#disconnect(), HIDDEN_CLOSE_MS);
    else if (this.#source === null) this.#open();
  }
}

/** Follows one site until the returned function is called. */
export function followSite(site: string): () => void {
  snapshot.value = null;
  timeline.value = emptyTimeline();
  const stream = new Stream(site);
  return () => stream.close();
}
