// Work that can wait: adding it, asking how it stands, waiting for its end.
import { randomUUID } from "node:crypto";
import { MainstayError } from "./error.js";
import { jittered, sleep, type Http } from "./http.js";

export interface JobOptions {
  /** 0 comes first, then 1, 2 and so on. Default 0. */
  priority?: number;
  /** How often it may fail. Default: the server's (3). */
  attempts?: number;
  /** Milliseconds from now until it may begin. Default 0. */
  delay?: number;
  /** A name of its own in its queue, which is no number. */
  id?: string;
  /** While one job with this key is not finished, a second is not added; or the first, while delayed, gets its payload. */
  unique?: string | { key: string; debounce?: boolean };
  /** How long it waits after an attempt that failed. */
  backoff?: { type: "exponential" | "fixed"; delay: number };
  /** Milliseconds that an attempt may take; 0: as long as it likes. */
  timeout?: number;
}

export interface NewJob extends JobOptions {
  type: string;
  /** Any JSON. */
  payload?: unknown;
}

export interface RequestOptions {
  /** What makes repeating harmless, also of another process: the same key is answered by the same job. Default: a new one. */
  idempotencyKey?: string;
  /** W3C trace context, which goes along with the job. */
  traceparent?: string;
  signal?: AbortSignal;
}

export interface AddedJob {
  id: string;
}

export type JobStatus = "waiting" | "delayed" | "active" | "completed" | "failed" | "dead";

/** How a job stands. `attempts` are those that ended; times are RFC 3339. */
export interface Job<Result = unknown> {
  id: string;
  queue: string;
  type: string;
  status: JobStatus;
  attempts: number;
  attempts_max: number;
  priority: number;
  progress: unknown;
  result: Result | null;
  error: string | null;
  created_at: string;
  run_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface WaitOptions {
  /** Milliseconds until the waiting ends. Default 60 000. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface EmailPayload {
  to: string | string[];
  subject: string;
  template: string;
  data?: Record<string, unknown>;
}

export interface AnalyticsPayload {
  event: string;
  properties?: Record<string, unknown>;
  timestamp?: string | number;
}

export interface ScanPayload {
  target: string;
  scanType?: string;
}

const WAIT_TIMEOUT_MS = 60_000;
const LOOK_MS = 100;
const LOOK_MS_MAX = 2_000;

type Options = JobOptions & RequestOptions;

export class Jobs {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  async add(queue: string, type: string, payload: unknown, options: Options = {}): Promise<AddedJob> {
    const { idempotencyKey, traceparent, signal, ...more } = options;
    return this.#post<AddedJob>(queue, { ...more, type, payload }, { idempotencyKey, traceparent, signal });
  }

  /** All of them or none. */
  async addMany(queue: string, jobs: readonly NewJob[], options: RequestOptions = {}): Promise<AddedJob[]> {
    return jobs.length === 0 ? [] : this.#post<AddedJob[]>(queue, jobs, options);
  }

  async get<Result>(queue: string, id: string, signal?: AbortSignal): Promise<Job<Result>> {
    return JSON.parse(await this.#http.askAgain({ method: "GET", path: `${pathOf(queue)}/${encodeURIComponent(id)}`, signal })) as Job<Result>;
  }

  async wait<Result>(queue: string, id: string, { timeout = WAIT_TIMEOUT_MS, signal }: WaitOptions = {}): Promise<Job<Result>> {
    signal?.throwIfAborted();
    const stop = new AbortController();
    const abort = (): void => stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const late = new MainstayError({ status: 0, code: "timeout", detail: `Job ${id} of ${queue} was not finished within ${timeout} ms` });
    const timer = setTimeout(() => stop.abort(late), timeout);
    try {
      for (let pause = LOOK_MS; ; pause = Math.min(pause * 1.5, LOOK_MS_MAX)) {
        const job = await this.#look<Result>(queue, id, stop.signal);
        if (job !== null && ["completed", "failed", "dead"].includes(job.status)) return job;
        await sleep(jittered(pause), stop.signal);
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Null while the server is away: whoever waits for a job waits for that, too. */
  async #look<Result>(queue: string, id: string, signal: AbortSignal): Promise<Job<Result> | null> {
    try {
      return await this.get<Result>(queue, id, signal);
    } catch (error) {
      if (!signal.aborted && error instanceof MainstayError && error.isTransient) return null;
      throw error;
    }
  }

  async #post<Answer>(queue: string, body: unknown, { idempotencyKey = randomUUID(), traceparent, signal }: Loose<RequestOptions>): Promise<Answer> {
    const headers = { "idempotency-key": idempotencyKey, ...(traceparent === undefined ? {} : { traceparent }) };
    return JSON.parse(await this.#http.askAgain({ method: "POST", path: pathOf(queue), body: JSON.stringify(body), headers, signal })) as Answer;
  }
}

type Loose<Of> = { [Key in keyof Of]?: Of[Key] | undefined };

function pathOf(queue: string): string {
  return `/_mainstay/jobs/${encodeURIComponent(queue)}`;
}
