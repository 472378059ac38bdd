// What the app records: gathered, sent together, and kept within bounds while the server is away.
import { randomUUID } from "node:crypto";
import { MainstayError } from "./error.js";
import { jittered, type Ask, type Http } from "./http.js";

/** The lists of a request, as the server calls them. */
const LISTS = ["metrics", "events", "signups", "revenue", "errors", "api_usage"] as const;

export type List = (typeof LISTS)[number];

export interface RecordOptions {
  /** Milliseconds after which what was recorded is sent. Default 1 000. */
  flushInterval?: number;
  /** Most records that wait; later ones are dropped. Default 10 000. */
  recordsMax?: number;
  /** Hears of what could not be sent or was dropped. Default: a warning of the process, once a minute at most. */
  onError?: (error: MainstayError) => void;
}

/** One record, as JSON. */
interface Item {
  list: List;
  json: string;
}

/** Sent as one, and again with the same id, which makes that harmless. */
interface Batch {
  id: string;
  items: Item[];
}

const FLUSH_MS = 1_000;
const RECORDS_MAX = 10_000;
/** As many are sent without waiting for the time; the server takes 500. */
const BATCH_ITEMS = 200;
/** The server takes 256 KiB. */
const BATCH_BYTES = 200 << 10;
const WAITING_BYTES_MAX = 16 << 20;
const BACKOFF_MS_MAX = 60_000;
/** A longer one is not believed. */
const RETRY_AFTER_MS_MAX = 3_600_000;
const WARN_EVERY_MS = 60_000;

function warner(): (error: MainstayError) => void {
  let last = -Infinity;
  return (error) => {
    if (Date.now() - last < WARN_EVERY_MS) return;
    last = Date.now();
    process.emitWarning(`records: ${error.message}`, "MainstayWarning");
  };
}

function bodyOf({ id, items }: Batch): string {
  const lists = LISTS.map((list) => [list, items.filter((item) => item.list === list)] as const).filter(([, of]) => of.length > 0);
  return `{"id":"${id}",${lists.map(([list, of]) => `"${list}":[${of.map((item) => item.json).join(",")}]`).join(",")}}`;
}

type Send = (ask: Ask) => Promise<string>;

const newId = (): string => randomUUID().replaceAll("-", "");

export class Records {
  readonly #http: Http;
  readonly #interval: number;
  readonly #max: number;
  readonly #report: (error: MainstayError) => void;
  #waiting: Item[] = [];
  #bytes = 0;
  /** Formed, and not answered for certain. */
  #batch: Batch | null = null;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  /** How long the server asked to be left alone. */
  #retryAfterMs = 0;
  /** Items of the next batch at most: fewer while it is looked for what the server does not take. */
  #most = BATCH_ITEMS;
  #sending: Promise<void> | null = null;

  constructor(http: Http, { flushInterval = FLUSH_MS, recordsMax = RECORDS_MAX, onError = warner() }: RecordOptions) {
    this.#http = http;
    this.#interval = flushInterval;
    this.#max = recordsMax;
    this.#report = onError;
  }

  add(list: List, item: object): void {
    const json = this.#write(list, item);
    if (json === null) return;
    const bytes = Buffer.byteLength(json);
    const held = this.#waiting.length + (this.#batch?.items.length ?? 0);
    if (held >= this.#max || bytes > BATCH_BYTES || this.#bytes + bytes > WAITING_BYTES_MAX) {
      const why = bytes > BATCH_BYTES ? "it is too large" : "too many wait to be sent";
      return this.#report(new MainstayError({ status: 0, code: "full", detail: `A record of ${list} was dropped: ${why}` }));
    }
    this.#waiting.push({ list, json });
    this.#bytes += bytes;
    if (this.#waiting.length >= BATCH_ITEMS && this.#failures === 0) this.#sendInBackground();
    else this.#wake(this.#interval);
  }

  /** Sends what was recorded until now; resolves once it is durable. */
  async flush(): Promise<void> {
    // What is under way may have begun before the last of it was recorded.
    // Its failure was told by whoever sent it, and what it could not send is still here.
    while (this.#sending !== null) await this.#sending.catch(() => undefined);
    await this.#send((ask) => this.#http.askAgain(ask));
  }

  /** Whoever records is not to be stopped by it. */
  #write(list: List, item: object): string | null {
    try {
      return JSON.stringify(item);
    } catch (cause) {
      this.#report(new MainstayError({ status: 0, code: "invalid", detail: `A record of ${list} was dropped: it is no JSON`, cause }));
      return null;
    }
  }

  #wake(ms: number): void {
    if (this.#timer !== null || this.#sending !== null) return;
    this.#timer = setTimeout(() => this.#sendInBackground(), ms);
    // Nobody's process lives on for it.
    this.#timer.unref();
  }

  #sendInBackground(): void {
    if (this.#sending !== null) return;
    // Once: the time between two tries holds up no process's end.
    this.#send((ask) => this.#http.ask(ask)).catch((error: unknown) => {
      if (error instanceof MainstayError) this.#report(error);
    });
  }

  #send(ask: Send): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#sending = this.#sendAll(ask).finally(() => {
      this.#sending = null;
      if (this.#batch !== null || this.#waiting.length > 0) this.#wake(this.#pause());
    });
    return this.#sending;
  }

  #pause(): number {
    if (this.#failures === 0) return this.#interval;
    return this.#retryAfterMs + jittered(Math.min(this.#interval * 2 ** this.#failures, BACKOFF_MS_MAX));
  }

  /** One batch after the other, in order. */
  async #sendAll(ask: Send): Promise<void> {
    for (this.#batch ??= this.#take(); this.#batch !== null; this.#batch = this.#take()) {
      try {
        await ask({ method: "POST", path: "/_mainstay/record", body: bodyOf(this.#batch) });
        this.#failures = 0;
        this.#retryAfterMs = 0;
        this.#most = Math.min(this.#most * 2, BATCH_ITEMS);
      } catch (error) {
        if (!(error instanceof MainstayError)) throw error;
        this.#mend(this.#batch, error);
      }
    }
  }

  /** The next batch, or null where nothing waits. */
  #take(): Batch | null {
    let count = 0;
    let bytes = 0;
    for (const item of this.#waiting) {
      const size = Buffer.byteLength(item.json);
      if (count === this.#most || bytes + size > BATCH_BYTES) break;
      count += 1;
      bytes += size + 1;
    }
    if (count === 0) return null;
    const items = this.#waiting.splice(0, count);
    this.#bytes -= items.reduce((sum, item) => sum + Buffer.byteLength(item.json), 0);
    return { id: newId(), items };
  }

  /** After a refusal: what is wrong is dropped, and the others go again. What may pass by itself is kept. */
  #mend(batch: Batch, error: MainstayError): void {
    if (error.status !== 400 && error.status !== 413) {
      this.#failures += 1;
      this.#retryAfterMs = Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX);
      throw error;
    }
    const wrong = batch.items.length === 1 ? batch.items[0] : named(batch, error.field ?? "");
    if (wrong === undefined) this.#most = Math.ceil(batch.items.length / 2);
    else this.#report(error);
    // Of a request that was refused nothing was kept: the others begin anew.
    const rest = batch.items.filter((item) => item !== wrong);
    this.#waiting.unshift(...rest);
    this.#bytes += rest.reduce((sum, item) => sum + Buffer.byteLength(item.json), 0);
  }
}

/** The record that a field's place names, as in `events[3].properties`. */
function named(batch: Batch, field: string): Item | undefined {
  const [, list, at] = /^(\w+)\[(\d+)\]/.exec(field) ?? [];
  return list === undefined ? undefined : batch.items.filter((item) => item.list === list)[Number(at)];
}
