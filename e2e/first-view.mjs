// How long from starting the server, with nothing but a folder, to the first page view on the owner's screen.
// Prints one line of JSON. Argument: {"binary", "siteDir"}.
import { DESKTOP, launch } from "./stand/browser.mjs";
import { signIn, whenShown } from "./stand/console.mjs";
import { startServer } from "./stand/server.mjs";

const input = JSON.parse(process.argv[2]);
const browser = await launch();
// Owner and visitor have their browsers open before the server is there.
const [owner, visitor] = await Promise.all([browser.newPage(DESKTOP), browser.newPage(DESKTOP)]);
const server = await startServer(input.binary, input.siteDir);
try {
  const listening = Date.now() - server.began;
  await Promise.all([signIn(owner, server), visitor.goto(server.site)]);
  await whenShown(owner, "[data-tile=pageviews] [data-value]", /^1$/);
  console.log(JSON.stringify({ listening_ms: listening, shown_ms: Date.now() - server.began }));
} finally {
  await browser.close();
  await server.stop();
}
