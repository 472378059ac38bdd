// The guest book of an invented repair café, as people wrote such apps before policies: no header of its own, scripts
// in the page, handlers in attributes. PORT chooses the port, 0 a free one; the address is printed.
import { randomBytes } from "node:crypto";
import { pipeline } from "node:stream/promises";
import cookieSession from "cookie-session";
import express from "express";
import { WebSocketServer } from "ws";
import { benchPage, bookPage, ledgerEnd, ledgerHead, ledgerRow } from "./pages.mjs";

const NAME_MAX = 40;
const WORDS_MAX = 400;
const NOTES_MAX = 100;
const LEDGER_ROWS = 28_000;
const MESSAGE_BYTES_MAX = 4_096;

const notes = [{ name: "Odile", words: "The radio plays again. Thank you for the valve, and for the cake." }];

const app = express();
app.use(cookieSession({ name: "session", keys: [process.env.SESSION_SECRET ?? randomBytes(32).toString("hex")], sameSite: "lax" }));
app.use(express.urlencoded({ extended: false, limit: "8kb" }));

app.get("/", (request, response) => {
  const { session } = request;
  session.visits = (session.visits ?? 0) + 1;
  const { said } = session;
  delete session.said;
  response.send(bookPage({ notes, visits: session.visits, said }));
});

app.post("/notes", (request, response) => {
  const name = String(request.body?.name ?? "").trim().slice(0, NAME_MAX);
  const words = String(request.body?.words ?? "").trim().slice(0, WORDS_MAX);
  if (name && words) {
    notes.unshift({ name, words });
    notes.splice(NOTES_MAX);
  }
  request.session.said = name && words ? `Thank you, ${name}.` : "A name and a few words, please.";
  response.redirect(303, "/");
});

app.get("/bench", (_, response) => response.send(benchPage()));

function* writeLedger() {
  yield ledgerHead();
  for (let row = 1; row <= LEDGER_ROWS; row += 1) yield ledgerRow(row);
  yield ledgerEnd(LEDGER_ROWS);
}

/** Two megabytes, written as fast as the reader takes them. */
app.get("/ledger", async (_, response, next) => {
  response.type("html");
  // A reader who leaves is no fault of the app.
  await pipeline(writeLedger, response).catch((error) => response.destroyed || next(error));
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`http://127.0.0.1:${server.address().port}`);
});

// Everybody at the bench hears what one of them says.
const bench = new WebSocketServer({ server, path: "/bench/socket", maxPayload: MESSAGE_BYTES_MAX });
bench.on("connection", (socket) => {
  socket.on("error", () => socket.terminate());
  socket.on("message", (data) => {
    for (const client of bench.clients) if (client.readyState === client.OPEN) client.send(String(data));
  });
});
