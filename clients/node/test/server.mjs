// A real Mainstay of a test's own, with its data in a folder of its own; and a way to it that can be disturbed.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const BINARY = process.env["MAINSTAY_BINARY"] ?? "";
const START_MS = 60_000;

/** `reports` is worked on by others; nobody knows the types of `unknown`, whose jobs are buried at once. */
const SETTINGS = `[[jobs.queue]]
name = "reports"
concurrency = 0
[[jobs.queue]]
name = "unknown"
concurrency = 1
`;

export class Server {
  /** @type {import("node:child_process").ChildProcess | null} */ #process = null;
  #folder = "";
  /** Address of the site; the same after another start. */ url = "";
  #admin = "";

  static async start() {
    if (BINARY === "") throw new Error("MAINSTAY_BINARY is to name a mainstay, as in $CARGO_TARGET_DIR/debug/mainstay");
    const server = new Server();
    server.#folder = await mkdtemp(join(tmpdir(), "mainstay-node-"));
    await mkdir(join(server.#folder, "site"));
    await writeFile(join(server.#folder, "site/index.html"), "<p>Here.");
    await writeFile(join(server.#folder, "mainstay.toml"), SETTINGS);
    await server.start();
    return server;
  }

  async start() {
    const { host } = new URL(this.url === "" ? "http://127.0.0.1:0" : this.url);
    const more = ["--listen", host === "127.0.0.1" ? "127.0.0.1:0" : host, "--admin-listen", "127.0.0.1:0"];
    // It ends with the tests, also where those are killed.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", BINARY, "serve", "site", "--config", "mainstay.toml", "--data-dir", "data", ...more], { cwd: this.#folder, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    let told = "";
    const ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ready: ${told}`)), START_MS);
      const hear = (/** @type {Buffer} */ text) => {
        told += text;
        if (/site +http.*\n[\s\S]*console +http.*\n/.test(told)) {
          clearTimeout(timer);
          resolve(undefined);
        }
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      child.once("exit", (code) => reject(new Error(`ended with ${code}: ${told}`)));
    });
    await ready;
    this.url = new URL(/site +(http\S+)/.exec(told)?.[1] ?? "").origin;
    this.#admin = new URL(/console +(http\S+)/.exec(told)?.[1] ?? "").origin;
  }

  /** @param {NodeJS.Signals} [signal] */
  async end(signal = "SIGKILL") {
    const child = this.#process;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  }

  async close() {
    await this.end();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** What a command says. @param {string[]} args */
  async run(...args) {
    const { stdout } = await promisify(execFile)(BINARY, [...args, "--data-dir", "data", "--config", "mainstay.toml"], { cwd: this.#folder });
    return stdout;
  }

  /** A new key. @param {string} scopes @returns {Promise<string>} */
  async key(scopes) {
    return JSON.parse(await this.run("key", "create", "test", "--scope", scopes, "--json")).key;
  }

  /** How many jobs stand so. @param {string} queue @param {string} status @returns {Promise<number>} */
  async count(queue, status) {
    const rows = JSON.parse(await this.run("jobs", "counts", "--json"));
    return rows.find((/** @type {any} */ row) => row.queue === queue)[status];
  }

  /** Rows of a read of the private address. @param {string} path @param {string} key @returns {Promise<any[]>} */
  async read(path, key) {
    const answer = await fetch(this.#admin + path, { headers: { authorization: `Bearer ${key}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return /** @type {{ data: any[] }} */ (await answer.json()).data;
  }

  async metrics() {
    return (await fetch(`${this.#admin}/metrics`)).text();
  }
}

/** @typedef {(reply: import("node:http").ServerResponse) => void} Reply */

/** A way to a server on which single requests are answered otherwise, or whose answers are lost. */
export class Way {
  /** Each for one request, in this order; `lose` passes it on and cuts its answer. @type {("lose" | Reply)[]} */ next = [];
  /** Headers and body of each request. @type {{ headers: import("node:http").IncomingHttpHeaders, body: string, at: number }[]} */ seen = [];
  #to;
  #server = createServer((ask, reply) => void this.#pass(ask, reply));
  url = "";

  /** @param {string} to */
  constructor(to) {
    this.#to = to;
  }

  /** @param {string} to */
  static async to(to) {
    const way = new Way(to);
    way.#server.listen(0, "127.0.0.1");
    await once(way.#server, "listening");
    const address = way.#server.address();
    way.url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    return way;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** @param {import("node:http").IncomingMessage} ask @param {import("node:http").ServerResponse} reply */
  async #pass(ask, reply) {
    let body = "";
    for await (const part of ask) body += part;
    this.seen.push({ headers: ask.headers, body, at: Date.now() });
    const special = this.next.shift();
    if (typeof special === "function") return special(reply);
    const onward = request(this.#to + (ask.url ?? "/"), { method: ask.method, headers: { ...ask.headers, host: new URL(this.#to).host } }, (answer) => {
      if (special === "lose") return void answer.resume().on("end", () => reply.destroy());
      reply.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(reply);
    });
    onward.on("error", () => reply.destroy());
    onward.end(body);
  }
}
