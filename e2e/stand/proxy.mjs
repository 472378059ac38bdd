// Stands between browser and server: plants markup in every page as an attacker's injection would, or adds a header
// to every request as some browsers do. Everything else passes as it is.
import { once } from "node:events";
import { createServer, request } from "node:http";

async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

const closer = (server) => () => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
};

/** Another host with one script, `/foreign.js`; counts how often it was asked for. */
export async function startForeign() {
  const foreign = { asked: 0 };
  const server = createServer((_, response) => {
    foreign.asked += 1;
    response.writeHead(200, { "content-type": "text/javascript" }).end("window.planted = [...(window.planted ?? []), 'foreign'];");
  });
  return Object.assign(foreign, { origin: await listen(server), close: closer(server) });
}

/**
 * Passes everything to `target`. `html` goes behind the opening `<body>`, `add` to the headers of every request, and
 * `strip` names headers to take out of every response.
 */
export async function startProxy(target, { html = "", add = {}, strip = [] }) {
  const server = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, ...add, "accept-encoding": "identity" };
    const asking = request(target + incoming.url, { method: incoming.method, headers }, async (answer) => {
      const chunks = [];
      for await (const chunk of answer) chunks.push(chunk);
      let body = Buffer.concat(chunks);
      const kept = { ...answer.headers };
      for (const name of strip) delete kept[name];
      if (kept["content-type"]?.startsWith("text/html")) {
        body = Buffer.from(body.toString().replace(/<body[^>]*>/, (tag) => tag + html));
        delete kept["transfer-encoding"];
        kept["content-length"] = String(body.length);
      }
      outgoing.writeHead(answer.statusCode, kept).end(body);
    });
    asking.on("error", () => outgoing.destroy());
    incoming.pipe(asking);
  });
  return { origin: await listen(server), close: closer(server) };
}
