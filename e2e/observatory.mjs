// What MDN's HTTP Observatory says of pages over TLS, without a network. Prints one line of JSON: the verdicts on each
// site's pages by its name. Argument: {"sites": {name: [address, …]}, "certificate"}.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const DEADLINE_MS = 60_000;

const run = promisify(execFile);
const input = JSON.parse(process.argv[2]);
// Nothing else of the environment: a proxy set there would be asked instead of the site.
const env = { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: input.certificate };
const facts = {};
for (const [name, pages] of Object.entries(input.sites)) {
  const { stdout } = await run(process.execPath, ["stand/grader.mjs", ...pages], { env, timeout: DEADLINE_MS });
  facts[name] = JSON.parse(stdout);
}
console.log(JSON.stringify(facts));
