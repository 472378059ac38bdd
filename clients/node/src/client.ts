// The client: one object with everything that an app asks of Mainstay.
import { Http, type HttpOptions } from "./http.js";
import {
  Jobs,
  type AddedJob, type AnalyticsPayload, type EmailPayload, type Job, type JobOptions, type NewJob, type RequestOptions,
  type ScanPayload, type WaitOptions,
} from "./jobs.js";
import { Records, type RecordOptions } from "./records.js";

export interface ClientOptions extends HttpOptions, RecordOptions {}

export type Properties = Record<string, string | number | boolean | null>;

export interface Money {
  amount: number;
  /** Three capital letters (ISO 4217). */
  currency: string;
}

/** What any record may have: an id of 16 to 32 letters, digits, - or _ makes it count once, whoever sends it how often. */
export interface About {
  id?: string;
  /** Your own word for somebody: a pseudonym. */
  user?: string;
  properties?: Properties;
}

export interface Metric {
  type: "counter" | "gauge" | "histogram";
  name: string;
  value: number;
  labels?: Record<string, string>;
}

type Options = JobOptions & RequestOptions;

/** Longer ones are shortened by the server as well. */
const STACK_CHARS_MAX = 32_768;

export class Client {
  readonly #jobs: Jobs;
  readonly #records: Records;

  constructor(options: ClientOptions) {
    const http = new Http(options);
    this.#jobs = new Jobs(http);
    this.#records = new Records(http, options);
  }

  /** Adds a job; resolves once it is durable. */
  addJob(queue: string, type: string, payload?: unknown, options?: Options): Promise<AddedJob> {
    return this.#jobs.add(queue, type, payload, options);
  }

  /** Adds all of them or none. */
  addJobs(queue: string, jobs: readonly NewJob[], options?: RequestOptions): Promise<AddedJob[]> {
    return this.#jobs.addMany(queue, jobs, options);
  }

  addEmailJob(payload: EmailPayload, options?: Options): Promise<AddedJob> {
    return this.addJob("email", "email", payload, options);
  }

  addAnalyticsJob(payload: AnalyticsPayload, options?: Options): Promise<AddedJob> {
    return this.addJob("analytics", "analytics", payload, options);
  }

  addSecurityScanJob(payload: ScanPayload, options?: Options): Promise<AddedJob> {
    return this.addJob("security-scan", "security-scan", payload, options);
  }

  getJob<Result = unknown>(queue: string, id: string, options: { signal?: AbortSignal } = {}): Promise<Job<Result>> {
    return this.#jobs.get<Result>(queue, id, options.signal);
  }

  /** Resolves once the job is completed, failed or dead; rejects where that takes too long. */
  waitForJob<Result = unknown>(queue: string, id: string, options?: WaitOptions): Promise<Job<Result>> {
    return this.#jobs.wait<Result>(queue, id, options);
  }

  /** Becomes `app_NAME` of `/metrics`. */
  recordMetric(metric: Metric): void {
    this.#records.add("metrics", metric);
  }

  recordBusinessEvent(name: string, properties?: Properties, more: Omit<About, "properties"> & { revenue?: Money } = {}): void {
    this.#records.add("events", { ...more, name, properties });
  }

  recordUserSignup(source?: string, planType?: string, more: About = {}): void {
    this.#records.add("signups", { ...more, source, plan_type: planType });
  }

  /** A refund is negative. */
  recordRevenue(amount: number, currency: string, more: About = {}): void {
    this.#records.add("revenue", { ...more, amount, currency });
  }

  recordApiUsage(endpoint: string, apiKeyType?: string, clientType?: string, count = 1): void {
    this.#records.add("api_usage", { endpoint, api_key_type: apiKeyType, client_type: clientType, count });
  }

  recordError(error: unknown, more: { id?: string; release?: string } = {}): void {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    // Of what is no error, this place is not where it came from.
    const from = error instanceof Error ? stack?.slice(0, STACK_CHARS_MAX) : undefined;
    this.#records.add("errors", { ...more, name, message: message.slice(0, STACK_CHARS_MAX), stack: from });
  }

  /** Sends what was recorded until now; resolves once it is durable. To be called before the process ends. */
  flush(): Promise<void> {
    return this.#records.flush();
  }
}

export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
