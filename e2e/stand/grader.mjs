// MDN's HTTP Observatory on pages of this machine: its own retriever, tests and tables. A process of its own, whose
// NODE_EXTRA_CA_CERTS holds the authority behind the site: a certificate that the grader does not trust costs points.
// node stand/grader.mjs https://127.0.0.1:PORT/PATH…; prints a line of JSON, a verdict for each page.
import { writeFileSync } from "node:fs";
import { ALL_RESULTS, ALL_TESTS } from "@mdn/mdn-http-observatory/src/constants.js";
import { MINIMUM_SCORE_FOR_EXTRA_CREDIT } from "@mdn/mdn-http-observatory/src/grader/charts.js";
import { getGradeForScore, getScoreModifier } from "@mdn/mdn-http-observatory/src/grader/grader.js";
import { retrieve } from "@mdn/mdn-http-observatory/src/retriever/retriever.js";
import { Expectation } from "@mdn/mdn-http-observatory/src/types.js";

const PRELOAD_LIST = new URL("../conf/hsts-preload.json", import.meta.resolve("@mdn/mdn-http-observatory"));
const START = 100;
/** What only being built into browsers gives. */
const PRELOADED = [Expectation.HstsPreloaded, Expectation.RedirectionAllRedirectsPreloaded];
/** What a site that sets no cookie can be told about cookies. */
const NO_COOKIE = [Expectation.CookiesNotFound];

/** The package fetches the browsers' list when it is installed, which is not done here: this address is in none. */
function bringPreloadList() {
  try {
    writeFileSync(PRELOAD_LIST, "{}\n", { flag: "wx" });
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
}

/**
 * The most that a site can get that is not preloaded: the start and the best result of every test. That is 140 in
 * version 1.4.8: policy without `unsafe-…` and with `default-src 'none'` 10, resource policy 10, cookies, referrer,
 * integrity and frames 5 each; CORS, redirect, `nosniff` and a year of HSTS are expected and give none, and preload
 * would give 5 more. The 5 for cookies go to the flags of cookies that are set: without any, 135 is all there is.
 */
function findMaximum(hasCookies) {
  const isPossible = (name, result) => !PRELOADED.includes(result) && (name !== "cookies" || hasCookies || NO_COOKIE.includes(result));
  const best = ALL_RESULTS.map(({ name, possibleResults }) =>
    Math.max(...possibleResults.filter((result) => isPossible(name, result)).map(getScoreModifier)));
  return best.reduce((sum, points) => sum + points, START);
}

/** As the package's `scan`, which takes no ports: extra points count for a site that would get an A without them. */
function score(results) {
  const points = results.map(({ result }) => getScoreModifier(result));
  const add = (numbers) => numbers.reduce((sum, number) => sum + number, START);
  const uncurved = add(points.filter((number) => number < 0));
  return uncurved >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? add(points) : uncurved;
}

async function grade(address) {
  const { hostname, port, pathname } = new URL(address);
  // Plain http is asked at the same port, as visitors who leave the `s` out ask it: both must answer.
  const requests = await retrieve(hostname, { httpPort: port, httpsPort: port, path: pathname });
  const { auto, http } = requests.responses;
  if (!auto || !http) throw new Error(`no answer at ${address}`);
  const results = ALL_TESTS.map((test) => test(requests));
  const hasCookies = results.some(({ constructor, result }) => constructor.name === "cookies" && !NO_COOKIE.includes(result));
  const tell = ({ constructor, result, pass }) => [constructor.name, { result, pass, points: getScoreModifier(result) }];
  return {
    path: pathname,
    status: auto.status,
    ...getGradeForScore(score(results)),
    maximum: findMaximum(hasCookies),
    tests: Object.fromEntries(results.map(tell)),
  };
}

bringPreloadList();
const verdicts = [];
for (const address of process.argv.slice(2)) verdicts.push(await grade(address));
console.log(JSON.stringify(verdicts));
