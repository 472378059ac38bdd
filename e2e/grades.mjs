// What MDN's HTTP Observatory says of many sites of one server, each by its name, without a network: every name leads
// to this machine. Prints one line of JSON: grade, score and the result of each test, by host. Argument: a file with
// {"hosts": [name, …], "http": port, "https": port}. NODE_EXTRA_CA_CERTS must hold the authority behind the server.
import dns from "node:dns";
import fs from "node:fs";
import { ALL_TESTS } from "@mdn/mdn-http-observatory/src/constants.js";
import { MINIMUM_SCORE_FOR_EXTRA_CREDIT } from "@mdn/mdn-http-observatory/src/grader/charts.js";
import { getGradeForScore, getScoreModifier } from "@mdn/mdn-http-observatory/src/grader/grader.js";
import { retrieve } from "@mdn/mdn-http-observatory/src/retriever/retriever.js";

const PRELOAD_LIST = "hsts-preload.json";
const START = 100;
/** Sites that are asked at a time. */
const AT_ONCE = 8;
const HERE = { address: "127.0.0.1", family: 4 };

// The package fetches the browsers' list when it is installed, which is not done here: these names are in none, and
// its folder, which checkouts may share, is left as it is.
const { readFileSync } = fs;
fs.readFileSync = (path, ...more) => (`${path}`.endsWith(PRELOAD_LIST) ? "{}" : readFileSync(path, ...more));
dns.lookup = (_name, options, callback) => {
  const done = callback ?? options;
  if (options.all) done(null, [HERE]);
  else done(null, HERE.address, HERE.family);
};

const input = JSON.parse(readFileSync(process.argv[2], "utf8"));
const facts = {};

async function grade(host) {
  const requests = await retrieve(host, { httpPort: `${input.http}`, httpsPort: `${input.https}` });
  const results = ALL_TESTS.map((test) => test(requests));
  const points = results.map(({ result }) => getScoreModifier(result));
  const add = (numbers) => numbers.reduce((sum, number) => sum + number, START);
  const uncurved = add(points.filter((number) => number < 0));
  // As the package's `scan`, which takes no ports.
  const score = uncurved >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? add(points) : uncurved;
  const tests = Object.fromEntries(results.map(({ constructor, result }) => [constructor.name, result]));
  facts[host] = { ...getGradeForScore(score), tests };
}

const waiting = [...input.hosts];
const work = async () => {
  for (let host = waiting.shift(); host; host = waiting.shift()) await grade(host);
};
await Promise.all(Array.from({ length: AT_ONCE }, work));
console.log(JSON.stringify(facts));
