// How the console is bundled: same-origin files only, nothing inline, so that it runs under
// `default-src 'none'` with Trusted Types required.
import { createHash } from "node:crypto";
import { defineConfig, type Plugin } from "vite";

/** Names each script's hash in the page: the server's policy lets exactly these run, and not all of its own origin. */
const integrity: Plugin = {
  name: "integrity",
  transformIndexHtml: {
    order: "post",
    handler: (html, { bundle }) =>
      html.replace(/<script ([^>]*src="\/([^"]+)")/g, (tag, rest: string, file: string) => {
        const chunk = bundle?.[file];
        if (chunk?.type !== "chunk") throw new Error(`${tag}: no such file in the build`);
        return `<script integrity="sha384-${createHash("sha384").update(chunk.code).digest("base64")}" ${rest}`;
      }),
  },
};

export default defineConfig({
  base: "/",
  plugins: [integrity],
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2022",
    // Two kilobytes fewer than esbuild's, of the sixty that the console may weigh.
    minify: "terser",
    terserOptions: { ecma: 2020, safari10: false, compress: { passes: 3 } },
    // The polyfill is an inline-style shim for browsers older than our target.
    modulePreload: { polyfill: false },
    // A data: URL would need wider CSP sources than the console is served with.
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    rollupOptions: {
      input: { index: "index.html", page: "src/styles/page.css" },
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        // The two static documents name page.css, so it alone keeps a stable name.
        assetFileNames: (asset) =>
          asset.names.includes("page.css") ? "assets/page.css" : "assets/[name]-[hash][extname]",
      },
    },
  },
});
