// A small server that behaves like the private listener: built files under the real CSP, the session, the reads and the
// stream, with switches to stop, drop and refuse. A test fixture; never shipped.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { databasesOf, historyOf, nodesOf, rowsOf, snapshotOf } from "./data.mjs";
import { Queues } from "./jobs.mjs";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
/** Like the server, which takes the scripts' hashes from the built page. */
const HASHES = [...(await readFile(join(DIST, "index.html"), "utf8")).matchAll(/integrity="([^"]+)"/g)].map(([, hash]) => `'${hash}'`);
const CSP = `default-src 'none'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; script-src ${HASHES.join(" ")}`;
/** @type {Record<string, string>} */
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };

/** @typedef {import("./data.mjs").Scene} Scene */
/** @typedef {import("node:http").ServerResponse} Answer */

export class Stand {
  /** @type {Scene} */ scene = "busy";
  /** @type {string[]} */ sites = ["default"];
  /** Copies of apps, each with its site. @type {import("./data.mjs").UpstreamRow[]} */ copies = [];
  /** What serves and keeps the rows. @type {import("./data.mjs").Machines} */ machines = "alone";
  /** Queues and their jobs, which may be changed. */ queues = new Queues();
  signedIn = true;
  /** Paths that answer 503. @type {Set<string>} */ broken = new Set();
  /** Header `Last-Event-ID` of each stream opened. @type {(string | null)[]} */ resumes = [];
  /** Address and query of each read. @type {string[]} */ reads = [];
  /** Method and address of each change. @type {string[]} */ changes = [];
  /** Whoever is signed in may look only. */ readOnly = false;
  #flowing = true;
  #sequence = 0;
  /** @type {Map<Answer, string>} */ #streams = new Map();
  #server = createServer((request, answer) => void this.#answer(request, answer));
  #timer = setInterval(() => this.#tick(), 1000);

  /** @param {number} [port] @returns {Promise<string>} */
  listen(port = 0) {
    return new Promise((resolve) => {
      this.#server.listen(port, "127.0.0.1", () => {
        const address = this.#server.address();
        resolve(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : port}`);
      });
    });
  }

  async close() {
    clearInterval(this.#timer);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Keeps streams open but silent. */
  pause() { this.#flowing = false; }

  resume() { this.#flowing = true; }

  /** Cuts every stream. */
  drop() {
    for (const stream of this.#streams.keys()) stream.destroy();
    this.#streams.clear();
  }

  get streams() { return this.#streams.size; }

  #tick() {
    this.#sequence += 1;
    if (!this.#flowing) return;
    for (const [stream, site] of this.#streams) this.#send(stream, "snapshot", snapshotOf(this.scene, Date.now(), site, this.sites, this.copies));
  }

  /** @param {string} site */
  #hasApp(site) { return this.copies.some((row) => row.site === site); }

  /** @param {Answer} stream @param {string} event @param {object} data */
  #send(stream, event, data) {
    const id = event === "snapshot" ? `id: ${this.#sequence}\n` : "";
    stream.write(`event: ${event}\n${id}retry: 2000\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** @param {import("node:http").IncomingMessage} request @param {Answer} answer */
  async #answer(request, answer) {
    const url = new URL(request.url ?? "/", "http://stand");
    answer.setHeader("content-security-policy", CSP);
    answer.setHeader("x-content-type-options", "nosniff");
    if (url.pathname.startsWith("/api/")) return this.#api(url, request, answer);
    if (url.pathname === "/session/end" && request.method === "POST") {
      this.signedIn = false;
      return void answer.writeHead(204).end();
    }
    return this.#file(url.pathname, answer);
  }

  /** @param {URL} url @param {import("node:http").IncomingMessage} request @param {Answer} answer */
  #api(url, request, answer) {
    if (!this.signedIn) return problem(answer, 401, "Sign in first");
    if (this.broken.has(url.pathname)) return problem(answer, 503, "The store is away");
    if (url.pathname === "/api/v1/session") return json(answer, this.#session());
    if (url.pathname === "/api/v1/live") return this.#stream(url, request, answer);
    if (request.method !== "GET") return this.#change(url, request, answer);
    this.reads.push(url.pathname + url.search);
    const page = this.queues.read(url.pathname, url.searchParams);
    if (page !== null) return json(answer, { ...page, as_of: new Date().toISOString() });
    const rows = this.#machines(url.pathname) ?? rowsOf(url.pathname, url.searchParams, this.scene, this.#hasApp(url.searchParams.get("site") ?? ""));
    if (rows === null) return problem(answer, 404, "No such path");
    return json(answer, { data: rows, next: null, as_of: new Date().toISOString() });
  }

  /** @param {string} path @returns {object[] | null} */
  #machines(path) {
    if (path === "/api/v1/nodes") return nodesOf(this.machines, Date.now());
    return path === "/api/v1/databases" ? databasesOf(this.machines) : null;
  }

  /** @param {URL} url @param {import("node:http").IncomingMessage} request @param {Answer} answer */
  #change(url, request, answer) {
    this.changes.push(`${request.method} ${url.pathname}`);
    if (this.readOnly) return problem(answer, 403, "This key has not the scope \"admin\".");
    const refused = this.queues.change(request.method ?? "", url.pathname);
    if (refused !== null) return problem(answer, 409, refused);
    return json(answer, { status: "waiting" });
  }

  #session() {
    return { role: "owner", expires: new Date(Date.now() + 2.88e7).toISOString(), version: "0.1.0", site_url: "http://127.0.0.1:8080", environment: "production", sites: this.sites };
  }

  /** @param {URL} url @param {import("node:http").IncomingMessage} request @param {Answer} answer */
  #stream(url, request, answer) {
    this.resumes.push(String(request.headers["last-event-id"] ?? "") || null);
    const site = url.searchParams.get("site") ?? "default";
    if (!this.sites.includes(site)) return problem(answer, 404, "There is no site of this name.");
    answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    this.#send(answer, "history", historyOf(this.scene, Math.floor(Date.now() / 1000), this.#hasApp(site)));
    if (this.#flowing) this.#send(answer, "snapshot", snapshotOf(this.scene, Date.now(), site, this.sites, this.copies));
    this.#streams.set(answer, site);
    answer.on("close", () => this.#streams.delete(answer));
  }

  /** @param {string} path @param {Answer} answer */
  async #file(path, answer) {
    const name = path === "/" ? "index.html" : normalize(path);
    try {
      let body = await readFile(join(DIST, name));
      if (name.endsWith(".html")) body = Buffer.from(body.toString().replace("{{token}}", "t0ken").replace("{{reason}}", "This link was used already."));
      answer.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" }).end(body);
    } catch {
      answer.writeHead(404).end();
    }
  }
}

/** @param {Answer} answer @param {object} body */
function json(answer, body) {
  answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** @param {Answer} answer @param {number} status @param {string} detail */
function problem(answer, status, detail) {
  answer.writeHead(status, { "content-type": "application/problem+json" }).end(JSON.stringify({ status, title: "Refused", detail }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(await new Stand().listen(Number(process.env["PORT"] ?? 4173)));
}
