// Are nonces guessable, repeated or kept? Asks for one page many times over kept connections, as a browser would that
// has a copy already. Prints one line of JSON; `unmarked` counts the scripts of one page that lack the nonce.
// Argument: {"site", "path", "times", "certificate"}.
import { readFileSync } from "node:fs";
import { Agent, get } from "node:https";

const AT_ONCE = 8;

const input = JSON.parse(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE, ca: readFileSync(input.certificate) });
const facts = { asked: 0, odd: [], bits: Infinity, unmarked: 0 };
const nonces = new Set();
const [etag, modified] = ['"a-copy"', "Sat, 01 Jan 2028 00:00:00 GMT"];

const ask = () =>
  new Promise((resolve, reject) => {
    const headers = { accept: "text/html", "if-none-match": etag, "if-modified-since": modified };
    get(input.site + input.path, { agent, headers }, async (response) => {
      let body = "";
      for await (const chunk of response.setEncoding("utf8")) body += chunk;
      resolve({ status: response.statusCode, headers: response.headers, body });
    }).on("error", reject);
  });

/** What is wrong with one answer, or nothing. */
function judge({ status, headers, body }) {
  if (status !== 200) return `status ${status}`;
  const found = [...(headers["content-security-policy"] ?? "").matchAll(/'nonce-([^']+)'/g)].map((match) => match[1]);
  const [nonce] = found;
  if (!nonce || found.some((other) => other !== nonce)) return `nonces ${found}`;
  const tags = body.match(/<script\b[^>]*>/g) ?? [];
  const marked = tags.filter((tag) => tag.includes(`nonce="${nonce}"`));
  if (!marked.length) return "no script with the nonce";
  facts.unmarked = Math.max(facts.unmarked, tags.length - marked.length);
  if (!/\bno-store\b/.test(headers["cache-control"] ?? "")) return `cache-control ${headers["cache-control"]}`;
  if (headers.etag || headers["last-modified"]) return "a validator";
  nonces.add(nonce);
  facts.bits = Math.min(facts.bits, Buffer.from(nonce, "base64").length * 8);
}

await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  while (facts.asked < input.times) {
    facts.asked += 1;
    const odd = judge(await ask());
    if (odd && facts.odd.length < 5) facts.odd.push(odd);
  }
}));
agent.destroy();
console.log(JSON.stringify({ ...facts, unique: nonces.size }));
