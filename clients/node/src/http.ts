// Requests to the server by the key: one at a time within a timeout, and again where that does no harm. Knows no jobs.
import { errorOf, MainstayError } from "./error.js";

export interface HttpOptions {
  /** Address of the site, as in `https://example.org`. */
  url: string;
  /** An API key, by `mainstay key create NAME --scope jobs,record`. */
  key: string;
  /** Milliseconds that one request may take. Default 10 000. */
  timeout?: number;
  /** How often a request is made again. Default 3. */
  retries?: number;
  /** Another `fetch`. */
  fetch?: typeof fetch;
}

export interface Ask {
  method: "GET" | "POST";
  path: string;
  body?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

const TIMEOUT_MS = 10_000;
const RETRIES = 3;
const WAIT_MS = 250;
const WAIT_MS_MAX = 5_000;
/** Whoever is asked to wait longer is told so instead. */
const RETRY_AFTER_MS_MAX = 30_000;

/** Half of it for certain, half by chance: many that failed together do not come back together. */
export function jittered(ms: number): number {
  return ms / 2 + Math.random() * (ms / 2);
}

/** Ends early, with the signal's reason, when that is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const end = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", end);
      resolve();
    }, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

function checkUrl(text: unknown): string {
  let url: URL;
  try {
    url = new URL(String(text));
  } catch {
    throw new TypeError("url is to be the site's address, as in https://example.org");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new TypeError("url is to begin with https:// or http://");
  // They would stand in messages of errors.
  if (url.username !== "" || url.password !== "") throw new TypeError("url is not to hold a name or password");
  return url.origin;
}

function checkKey(key: unknown): string {
  // Its text is in no message.
  if (typeof key !== "string" || !/^[\x21-\x7e]+$/.test(key)) {
    throw new TypeError("key is to be an API key: mainstay key create NAME --scope jobs,record");
  }
  return key;
}

function checkNumber(name: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw new TypeError(`${name} is to be a number from 0`);
  return value;
}

export class Http {
  readonly #origin: string;
  readonly #key: string;
  readonly #timeout: number;
  readonly #retries: number;
  readonly #fetch: typeof fetch;

  constructor({ url, key, timeout = TIMEOUT_MS, retries = RETRIES, fetch: other }: HttpOptions) {
    this.#origin = checkUrl(url);
    this.#key = checkKey(key);
    this.#timeout = checkNumber("timeout", timeout);
    this.#retries = checkNumber("retries", retries);
    // Looked up when it is used: whoever replaces the global one later is heard.
    this.#fetch = other ?? ((...args) => fetch(...args));
  }

  /** Asks, and again where that failed for a while; only for what may be done twice. Resolves with the answer's text. */
  async askAgain(ask: Ask): Promise<string> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.ask(ask);
      } catch (error) {
        const isOver = attempt >= this.#retries || !(error instanceof MainstayError) || !error.isTransient;
        const asked = error instanceof MainstayError ? (error.retryAfterMs ?? 0) : 0;
        if (isOver || asked > RETRY_AFTER_MS_MAX) throw error;
        const wait = jittered(Math.min(WAIT_MS * 2 ** attempt, WAIT_MS_MAX));
        await sleep(asked + wait, ask.signal);
      }
    }
  }

  /** Asks once. Resolves with the answer's text. */
  async ask({ method, path, body, headers, signal }: Ask): Promise<string> {
    signal?.throwIfAborted();
    const stop = new AbortController();
    const abort = (): void => stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      stop.abort();
    }, this.#timeout);
    try {
      const response = await this.#fetch(this.#origin + path, {
        method,
        headers: { ...headers, authorization: `Bearer ${this.#key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        // A key goes where it was meant to go.
        redirect: "manual",
        signal: stop.signal,
        ...(body === undefined ? {} : { body }),
      });
      if (!response.ok) throw await errorOf(response);
      return await response.text();
    } catch (error) {
      if (error instanceof MainstayError) throw error;
      if (signal?.aborted === true) throw signal.reason;
      throw isLate
        ? new MainstayError({ status: 0, code: "timeout", detail: `${this.#origin} did not answer within ${this.#timeout} ms` })
        : new MainstayError({ status: 0, code: "unreachable", detail: `${this.#origin} cannot be reached`, cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }
}
