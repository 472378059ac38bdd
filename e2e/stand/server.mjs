// The server from outside: its control socket, its API with the admin token, a process of our own. Opens no browser.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Rare enough that asking does not slow down what is waited for. */
const POLL_MS = 50;
const DEADLINE_MS = 20_000;

/** One request to the control socket of a data directory. */
export const askControl = (dataDir, method, path) =>
  new Promise((resolve, reject) => {
    const asking = request({ socketPath: join(dataDir, "control.sock"), method, path }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      resolve(JSON.parse(text));
    });
    asking.on("error", reject).end();
  });

/** What is waited for now, and since when; and what took long before. */
const [waits, long] = [new Map(), []];
const LONG_MS = 5_000;

/** Waits for a promise, but not for ever; a failure names what was waited for. */
export async function within(what, promise, time = DEADLINE_MS) {
  const [key, began] = [Symbol(what), Date.now()];
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${time} ms for ${what}`)), time);
  });
  waits.set(key, { what, began });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    waits.delete(key);
    if (Date.now() - began >= LONG_MS) long.push(`${what}: ${Date.now() - began} ms`);
  }
}

/** Ends this process when it is not done in time, and says what it was at. */
export function endAfter(time) {
  setTimeout(() => {
    const now = [...waits.values()].map(({ what, began }) => `${what}: for ${Date.now() - began} ms`);
    console.error(`not done after ${time} ms; waiting for ${now.join("; ") || "nothing with a name"}; took long: ${long.join("; ") || "nothing"}`);
    process.exit(1);
  }, time).unref();
}

/** Polls until `read` gives something; a failure names what was waited for and what was seen last. */
export async function until(what, read) {
  let seen;
  const look = async () => {
    const end = Date.now() + DEADLINE_MS;
    while (Date.now() < end) {
      const value = await read((now) => void (seen = now));
      if (value) return value;
      await pause(POLL_MS);
    }
    throw new Error(`waited ${DEADLINE_MS} ms for ${what}; last seen: ${JSON.stringify(seen)}`);
  };
  // One look may be a matter of several waits, each with a bound of its own.
  return within(what, look(), 3 * DEADLINE_MS);
}

/** Reads `/api/v1/{path}` with the admin token. */
export const reader = ({ admin, token }) => async (path) => {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${admin}/api/v1/${path}`, { headers, signal: AbortSignal.timeout(DEADLINE_MS) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
};

/**
 * Starts a server of our own on free ports, without any settings file, in a fresh folder; `flags` are further ones.
 * Resolves once its control socket answers; `began` is the moment of the start.
 */
export async function startServer(binary, siteDir, flags = []) {
  const dir = mkdtempSync(join(tmpdir(), "mainstay-e2e-"));
  const dataDir = join(dir, "mainstay-data");
  const began = Date.now();
  const listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
  const child = spawn(binary, ["serve", siteDir, ...listen, ...flags], {
    cwd: dir,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
    rmSync(dir, { recursive: true });
  };
  try {
    const status = await until("the control socket", () => {
      if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`);
      return askControl(dataDir, "GET", "/status").catch(() => null);
    });
    return { ...status, dataDir, began, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
