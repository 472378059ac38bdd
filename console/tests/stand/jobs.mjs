// Queues and jobs in the exact shapes of the API, which change as the server's would; for tests and screenshots only.

/** @typedef {import("../../src/wire.ts").JobRow} JobRow */
/** @typedef {import("../../src/wire.ts").JobStatus} JobStatus */

const STATUSES = /** @type {const} */ (["waiting", "active", "delayed", "completed", "failed", "dead"]);

/** @param {number} ago_ms */
const before = (ago_ms) => new Date(Date.now() - ago_ms).toISOString();

/** @param {string} queue @param {string} id @param {JobStatus} status @param {Partial<JobRow>} [more] @returns {JobRow} */
function job(queue, id, status, more = {}) {
  const created_at = before(190_000);
  const isOver = status === "completed" || status === "failed" || status === "dead";
  return {
    id, queue, type: "order-confirmation", status, attempts: isOver ? 1 : 0, attempts_max: 3, priority: 0, progress: null, result: null, error: null,
    created_at, run_at: created_at, started_at: status === "active" || isOver ? before(120_000) : null, finished_at: isOver ? before(60_000) : null,
    payload: { to: ["[redacted]"], subject: "Your order", data: { items: 3, resetToken: "[redacted]" } }, stalled: 0, ...more,
  };
}

const email = () => [
  job("email", "3", "failed", { attempts: 3, error: "the mail server said: 451 4.7.1 please try again later <img src=x onerror=alert(1)>" }),
  job("email", "order-2026-0000017-confirmation-to-the-customer", "failed", { attempts: 3, priority: 4, error: "connection refused" }),
  job("email", "2", "failed", { type: "newsletter-of-november", attempts: 3, error: "connection refused" }),
  job("email", "9", "dead", { type: "welcome", error: "nobody knows this type", stalled: 2 }),
  job("email", "21", "waiting"),
  job("email", "22", "waiting", { run_at: before(42_000), attempts: 1 }),
  job("email", "30", "active", { progress: 40 }),
  job("email", "31", "delayed", { run_at: before(-3_600_000) }),
  ...Array.from({ length: 4 }, (_, i) => job("email", `${40 + i}`, "completed", { result: { accepted: 1 } })),
];

export class Queues {
  /** @type {JobRow[]} */ jobs = [
    ...email(),
    ...Array.from({ length: 60 }, (_, i) => job("image-processing", `${1000 + i}`, "waiting", { type: "resize", payload: { imageUrl: `https://example.org/photos/${i}.jpg`, optimizations: { width: 800 } } })),
  ];
  /** @type {Map<string, boolean>} each queue, and whether it is paused */
  paused = new Map([["analytics", false], ["email", false], ["image-processing", true], ["security-scan", false]]);

  clear() {
    this.jobs = [];
    this.paused.clear();
  }

  /** @param {string} path @param {URLSearchParams} query */
  read(path, query) {
    if (path === "/api/v1/jobs/queues") return { data: [...this.paused.keys()].map((name) => this.#queue(name)), next: null };
    if (path !== "/api/v1/jobs") return null;
    const from = Number(query.get("cursor") ?? 0);
    const to = from + Number(query.get("limit"));
    const rows = this.#of(query.get("queue") ?? "", query.get("status") ?? "");
    return { data: rows.slice(from, to), next: to < rows.length ? String(to) : null };
  }

  /** Why it is refused, else null. @param {string} method @param {string} path */
  change(method, path) {
    const [queue = "", id = "", verb] = path.replace("/api/v1/jobs/", "").split("/").map(decodeURIComponent);
    if (queue === "queues" && method === "POST") {
      this.paused.set(id, verb === "pause");
      return null;
    }
    const found = this.jobs.find((each) => each.queue === queue && each.id === id);
    if (found === undefined) return `Job ${id} not found`;
    if (method === "DELETE") this.jobs.splice(this.jobs.indexOf(found), 1);
    else Object.assign(found, verb === "retry" ? { status: "waiting", error: null } : { status: "dead", error: "cancelled", finished_at: before(0) });
    return null;
  }

  /** @param {string} queue @param {string} status */
  #of(queue, status) {
    return this.jobs.filter((each) => each.queue === queue && each.status === status);
  }

  /** @param {string} queue @returns {import("../../src/wire.ts").QueueRow} */
  #queue(queue) {
    const counts = STATUSES.map((status) => [status, this.#of(queue, status).length]);
    const oldest_ms = this.#of(queue, "waiting").length > 0 ? 190_000 : null;
    return { .../** @type {Record<JobStatus, number>} */ (Object.fromEntries(counts)), queue, paused: this.paused.get(queue) ?? false, oldest_ms };
  }
}
