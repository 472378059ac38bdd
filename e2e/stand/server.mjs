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

/** Polls until `read` gives something; a failure names what was waited for and what was seen last. */
export async function until(what, read) {
  const end = Date.now() + DEADLINE_MS;
  let seen;
  while (Date.now() < end) {
    const value = await read((now) => void (seen = now));
    if (value) return value;
    await pause(POLL_MS);
  }
  throw new Error(`waited ${DEADLINE_MS} ms for ${what}; last seen: ${JSON.stringify(seen)}`);
}

/** Reads `/api/v1/{path}` with the admin token. */
export const reader = ({ admin, token }) => async (path) => {
  const response = await fetch(`${admin}/api/v1/${path}`, { headers: { authorization: `Bearer ${token}` } });
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
