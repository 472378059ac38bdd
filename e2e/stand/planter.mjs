// A process of its own between Mainstay and an app: passes everything, and plants script behind the opening <body> of
// every page, as somebody would who got into the app's data. node stand/planter.mjs TARGET; prints its address.
import { startForeign, startProxy } from "./proxy.mjs";

const push = (name) => `window.planted=[...(window.planted||[]),'${name}']`;

const foreign = await startForeign();
const html = [
  `<script>${push("inline")}</script>`,
  `<script nonce="bm90IHRoZSByaWdodCBvbmUhIQ==">${push("guessed nonce")}</script>`,
  `<script src="data:text/javascript,${encodeURIComponent(push("data"))}"></script>`,
  `<script src="${foreign.origin}/foreign.js"></script>`,
  `<img src="data:," alt="" onerror="${push("handler")}">`,
].join("");
const proxy = await startProxy(process.argv[2], { html });
console.log(proxy.origin);
