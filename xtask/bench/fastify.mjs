// The peer for intake: Fastify validates an event, answers 202, and stores what it gathered every 200 ms by one unnest.
// usage: node fastify.mjs PORT POSTGRES_PORT
import Fastify from "fastify";
import pg from "pg";

const [port, database] = process.argv.slice(2).map(Number);
const pool = new pg.Pool({ host: "127.0.0.1", port: database, user: "postgres", database: "postgres", max: 20 });

const insert = {
  name: "insert",
  text: `insert into events (received_at, id, site, page, url, referrer, width, agent)
    select now(), * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[])`,
};
const text = (maxLength) => ({ type: "string", maxLength });
const body = {
  type: "object",
  required: ["v", "site", "page", "url", "events"],
  properties: {
    v: { const: 1 },
    site: text(64),
    page: text(32),
    url: text(2000),
    ref: text(2000),
    w: { type: "integer" },
    events: {
      type: "array",
      maxItems: 50,
      items: {
        type: "object",
        required: ["id", "type"],
        properties: { id: text(32), type: { enum: ["pageview"] }, t: { type: "number" } },
      },
    },
  },
};

let gathered = [];
const flush = async () => {
  const rows = gathered;
  gathered = [];
  if (rows.length === 0) return;
  const columns = Array.from({ length: 7 }, (_, column) => rows.map((row) => row[column]));
  await pool.query({ ...insert, values: columns });
};

const app = Fastify();
app.get("/", async () => "ready");
app.post("/_mainstay/events", { schema: { body } }, async (request, reply) => {
  const { site, page, url, ref, w, events } = request.body;
  for (const event of events) gathered.push([event.id, site, page, url, ref, w, request.headers["user-agent"]]);
  if (gathered.length >= 5000) flush();
  return reply.code(202).send();
});
setInterval(flush, 200);
await app.listen({ port, host: "127.0.0.1" });
