//! Builds both scripts into dist/ and fails when one outgrows its budget; knows nothing of what they do.

import { mkdir, writeFile } from "node:fs/promises";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

// Budgets in bytes of `gzip -9`: what a visitor downloads is part of the product's promise.
const scripts = [
  { entry: "src/main.ts", file: "m.js", gzipBytesMax: 6600 },
  { entry: "src/lite.ts", file: "m.lite.js", gzipBytesMax: 1500 },
];

/** Bundles and minifies one script; returns its text. */
async function buildScript(entry) {
  const bundle = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    // Oldest engines that have what web-vitals 6 itself relies on.
    target: ["chrome92", "firefox91", "safari15.4"],
    charset: "utf8",
    legalComments: "none",
  });
  const { code } = await minify(bundle.outputFiles[0].text, {
    ecma: 2020,
    module: true,
    compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true, keep_fargs: false },
  });
  // Without this function every name of ours would be a global of the page.
  return `(()=>{${code.replace(/;$/, "")}})();\n`;
}

await mkdir("dist", { recursive: true });
let overBudget = false;
for (const { entry, file, gzipBytesMax } of scripts) {
  const text = await buildScript(entry);
  await writeFile(`dist/${file}`, text);
  const gzipped = gzipSync(text, { level: 9 });
  // The server sends these as they are: compressed once, here, at the best level.
  await writeFile(`dist/${file}.gz`, gzipped);
  await writeFile(`dist/${file}.br`, brotliCompressSync(text));
  const gzipBytes = gzipped.length;
  const fits = gzipBytes <= gzipBytesMax;
  overBudget ||= !fits;
  console.log(`${file}: ${text.length} B, gzip -9 ${gzipBytes} B of ${gzipBytesMax} B${fits ? "" : ": OVER BUDGET"}`);
}
if (overBudget) process.exit(1);
