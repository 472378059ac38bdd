// What the package offers.
export { createClient, type About, type Client, type ClientOptions, type Metric, type Money, type Properties } from "./client.js";
export { MainstayError, type ErrorCode } from "./error.js";
export type {
  AddedJob, AnalyticsPayload, EmailPayload, Job, JobOptions, JobStatus, NewJob, RequestOptions, ScanPayload, WaitOptions,
} from "./jobs.js";
