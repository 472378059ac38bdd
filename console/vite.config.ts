// How the console is bundled: same-origin files only, nothing inline, so that it runs under
// `default-src 'none'` with Trusted Types required.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2022",
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
