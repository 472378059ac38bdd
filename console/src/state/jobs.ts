// Queues and the jobs of one of them: two reads behind the jobs page, again every few seconds while it is looked at, and
// what may be done with them.
import { computed, effect, signal, untracked } from "@preact/signals";
import type { JobRow, Page, QueueRow } from "../wire";
import { change } from "./change";
import type { Read } from "./history";
import { Poll } from "./poll";
import { failureOf, listPage, listRows } from "./read";
import { queue, status } from "./view";

/** Jobs of one page: each comes with its data, which may be large. */
const PAGE_ROWS = 25;

const NONE = { rows: null, failure: null };

export const queues = signal<Read<QueueRow>>(NONE);
export const jobs = signal<Read<JobRow>>(NONE);
/** Server time of the last answer. */
export const jobsAsOf = signal<string | null>(null);
/** Cursors of the pages before the one on screen and of that one itself; none: the first page. */
const cursors = signal<string[]>([]);
const next = signal<string | null>(null);
/** What became of the last thing that was done. */
export const outcome = signal<{ text: string; failed: boolean } | null>(null);

/** The queue whose jobs are shown; null where there is none, or the one of the address is gone. */
export const shown = computed<QueueRow | null>(() => {
  const rows = queues.value.rows ?? [];
  return (queue.value === null ? rows[0] : rows.find((row) => row.queue === queue.value)) ?? null;
});
const shownName = computed(() => shown.value?.queue ?? null);

export const pageNumber = computed(() => cursors.value.length + 1);
export const hasNext = computed(() => next.value !== null);

export function turnBack(): void {
  cursors.value = cursors.value.slice(0, -1);
}

export function turnOn(): void {
  if (next.value !== null) cursors.value = [...cursors.value, next.value];
}

async function readQueues(stop: AbortSignal): Promise<void> {
  try {
    const list = await listRows<QueueRow>("/api/v1/jobs/queues", {}, stop);
    queues.value = { rows: list.rows, failure: null };
    jobsAsOf.value = list.asOf;
  } catch (error) {
    if (!stop.aborted) queues.value = { ...queues.value, failure: failureOf(error) };
  }
}

async function readJobs(stop: AbortSignal): Promise<void> {
  const name = shownName.value;
  if (name === null) return;
  const asked = cursors.value;
  const cursor = asked.at(-1);
  const query = { queue: name, status: status.value, limit: String(PAGE_ROWS), ...(cursor === undefined ? {} : { cursor }) };
  try {
    const page: Page<JobRow> = await listPage<JobRow>("/api/v1/jobs", query, stop);
    if (stop.aborted) return;
    jobs.value = { rows: page.data, failure: null };
    next.value = page.next;
  } catch (error) {
    if (!stop.aborted) jobs.value = { ...jobs.value, failure: failureOf(error) };
  }
}

const queuesPoll = new Poll(readQueues);
const jobsPoll = new Poll(readJobs);

/** Reads both until the returned function is called; another queue, status or page begins anew. */
export function followJobs(): () => void {
  queuesPoll.begin();
  let list = "";
  const stopFollowing = effect(() => {
    const now = JSON.stringify([shownName.value, status.value]);
    if (now !== list) {
      list = now;
      cursors.value = [];
    }
    void cursors.value;
    untracked(() => {
      jobs.value = NONE;
      next.value = null;
      jobsPoll.begin();
    });
  });
  return () => {
    stopFollowing();
    queuesPoll.end();
    jobsPoll.end();
    outcome.value = null;
  };
}

async function act(method: "POST" | "DELETE", path: string, done: string): Promise<void> {
  const failure = await change(method, path);
  outcome.value = failure === null ? { text: done, failed: false } : { text: failure, failed: true };
  queuesPoll.begin();
  jobsPoll.begin();
}

const pathOf = (job: JobRow): string => `/api/v1/jobs/${encodeURIComponent(job.queue)}/${encodeURIComponent(job.id)}`;

export const retry = (job: JobRow): Promise<void> => act("POST", `${pathOf(job)}/retry`, `Job ${job.id} waits again.`);

/** Whoever works on it hears of it within a second. */
export const cancel = (job: JobRow): Promise<void> =>
  act("POST", `${pathOf(job)}/cancel`, job.status === "active" ? `Job ${job.id} is told to end.` : `Job ${job.id} is cancelled.`);

export const remove = (job: JobRow): Promise<void> => act("DELETE", pathOf(job), `Job ${job.id} is removed.`);

export function pauseOrResume(row: QueueRow): Promise<void> {
  const path = `/api/v1/jobs/queues/${encodeURIComponent(row.queue)}`;
  return row.paused
    ? act("POST", `${path}/resume`, `${row.queue} goes on.`)
    : act("POST", `${path}/pause`, `${row.queue} is paused; what runs goes on.`);
}
