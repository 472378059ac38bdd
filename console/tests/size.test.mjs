// How much the console weighs, and that the files the server embeds by name are there.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url);
/** Everything a browser loads for the first screen. */
const GZIP_BYTES_MAX = 60_000;

/** @param {string} name */
const read = (name) => readFile(new URL(name, DIST));

test("the whole console is small", async (context) => {
  const names = ["index.html", "enter.html", "signed-out.html", ...(await readdir(new URL("assets/", DIST))).map((name) => `assets/${name}`)];
  const sizes = await Promise.all(names.map(async (name) => ({ name, bytes: gzipSync(await read(name), { level: 9 }).length })));
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { name, bytes } of sizes) context.diagnostic(`${name} ${bytes} B gzip`);
  context.diagnostic(`total ${total} B gzip`);
  assert.ok(total <= GZIP_BYTES_MAX, `${total} B`);
});

test("documents carry nothing inline and nothing foreign", async () => {
  for (const name of ["index.html", "enter.html", "signed-out.html"]) {
    const text = (await read(name)).toString();
    assert.doesNotMatch(text, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc="\/assets\/)/i, name);
    assert.doesNotMatch(text, /(?:src|href|action)="(?!\/)/i, name);
  }
  assert.match((await read("enter.html")).toString(), /<input type="hidden" name="token" value="\{\{token\}\}">/);
  assert.match((await read("signed-out.html")).toString(), /\{\{reason\}\}/);
  assert.ok((await read("assets/page.css")).length > 1000);
});
