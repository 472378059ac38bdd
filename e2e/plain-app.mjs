// examples/plain-app through Mainstay over TLS, in Chromium and in Firefox: works wholly while its policy only
// reports, and the reports arrive; is held by the policy once it is enforced. Prints one line of JSON.
// Argument: {"site", "enforced", "admin", "token", "dataDir", "certificate"}: the site as on its first start, its API and
// its console, and the site with `csp = "enforce"`.
import { launch } from "./stand/browser.mjs";
import { openConsole } from "./stand/console.mjs";
import { byKey, fill, goBack, inBoth, listBroken, open, untilIn, whenLoaded } from "./stand/pair.mjs";
import { reader, until, within } from "./stand/server.mjs";

const input = JSON.parse(process.argv[2]);
const read = reader(input);

/** Each thing the pages do, and whether it was done. */
async function use({ page }, name) {
  const response = await open(page, `${input.site}/`);
  await whenLoaded(page);
  const facts = { policies: listPolicies(response), broken: await listBroken(page), ...(await probe(page)) };
  facts.counted = await untilIn(page, "letters left", () => document.querySelector("#left").textContent === "396");
  facts.note = await post(page, name);
  facts.heard = await talk(page, name);
  facts.back = await turnBack(page);
  await within("the ledger", page.goto(`${input.site}/ledger`));
  facts.ledger = await untilIn(page, "the end of the ledger", () => document.querySelector("#end")?.textContent);
  facts.rows = await within("rows", page.evaluate(() => document.querySelectorAll("tr").length));
  return facts;
}

const listPolicies = (response) =>
  Object.keys(response.headers()).filter((header) => header.startsWith("content-security-policy")).sort();

/** Did the inline script run, and does the handler of the button? */
async function probe(page) {
  await page.click("#kettle");
  await fill(page, "textarea[name=words]", "Lamp");
  return within("what the page's scripts did", page.evaluate(() => ({
    inline: document.querySelector("#hour").textContent !== "some time of day",
    handler: document.querySelector("#kettle").textContent === "The kettle is on",
  })));
}

/** The form: posted, redirected back, and the session knows. */
async function post(page, name) {
  await fill(page, "input[name=name]", name);
  await page.click("form button");
  const said = await untilIn(page, "thanks", () => document.querySelector("#said")?.textContent);
  const noted = page.evaluate(() => ({
    visits: document.querySelector("#visits").textContent,
    listed: document.querySelector("blockquote").innerText,
    path: location.pathname,
  }));
  return { said, ...(await within("the note", noted)) };
}

/** The WebSocket: what is said comes back, whole and in order. */
async function talk(page, name) {
  await within("the bench", page.goto(`${input.site}/bench`));
  await untilIn(page, "an open socket", () => document.querySelector("#state").textContent === "You are in.");
  for (const words of [`${name} asks`, "ü".repeat(200)]) {
    await fill(page, "input[name=words]", words);
    await page.click("#say button");
  }
  return untilIn(page, "two answers", () => {
    const heard = [...document.querySelectorAll("#heard li")].map((line) => line.textContent);
    return heard.length === 2 && heard;
  });
}

/** In-page navigation without a framework: nothing but `popstate` tells of the way back. How many views that made. */
async function turnBack(page) {
  await whenLoaded(page);
  const read = () => countViews(["/bench", "/bench/aside"]);
  const before = await until("the view of the bench", async (note) => {
    const seen = await read();
    note(seen);
    // Who was here before left two of the bench and one aside; the latest of them may still be on its way.
    return seen[0] === 2 * seen[1] + 1 && seen;
  });
  await within("a step aside", page.evaluate(() => history.pushState(null, "", "/bench/aside")));
  await goBack(page);
  await untilIn(page, "the former address", () => location.pathname === "/bench");
  return until("the views aside and back", async (note) => {
    const gained = (await read()).map((views, at) => views - before[at]);
    note(gained);
    return gained.every((views) => views > 0) && gained;
  });
}

/** Views of these pages. */
async function countViews(paths) {
  const rows = byKey((await read("pages")).data);
  return paths.map((path) => rows[path]?.pageviews ?? 0);
}

/** The same under the enforced policy, as far as it goes: forms are no scripts. */
async function useEnforced(openVisitor, name) {
  const { context, page, faults } = await openVisitor(input.enforced);
  const response = await open(page, `${input.enforced}/`);
  await whenLoaded(page);
  const facts = { policies: listPolicies(response), ...(await probe(page)), note: await post(page, name) };
  await within("the end of the enforced visit", context.close());
  return { ...facts, blocked: faults.filter((fault) => fault.startsWith("policy:")).length };
}

async function visit(name, openVisitor) {
  const visitor = await openVisitor(input.site);
  const used = await use(visitor, name);
  // Some reports are only sent when the page goes away.
  await within("a blank page", visitor.page.goto("about:blank"));
  const agent = new RegExp(name === "firefox" ? "Firefox" : "Chrom");
  const reports = await until(`reports of ${name}`, async (note) => {
    const { data } = await read("reports");
    note(data);
    const names = new Set(data.filter((row) => agent.test(row.browser)).map((row) => row.name));
    return ["script-src-elem", "script-src-attr"].every((directive) => names.has(directive)) && data;
  });
  const faults = visitor.faults.splice(0);
  await within("the end of the visit", visitor.context.close());
  return { ...used, reports, faults, enforced: await useEnforced(openVisitor, name) };
}

/** The reports of both as their owner sees them, and as the API tells them. */
async function show() {
  const browser = await within("the owner's browser", launch());
  const { page, faults } = await openConsole(browser, input);
  await page.getByRole("radio", { name: "24 h" }).check();
  await page.getByRole("radio", { name: "Reports" }).check();
  const rows = page.locator("[data-panel=reports] .report");
  await within("reports on screen", rows.first().waitFor());
  const seen = await rows.evaluateAll((rows) => rows.map((row) => ({
    count: Number(row.querySelector(".error-count").firstChild.textContent.replaceAll(",", "")),
    name: row.querySelector(".error-name").textContent,
    facts: row.querySelector(".error-facts").textContent,
  })));
  await within("the end of the owner's browser", browser.close());
  return { seen, told: (await read("reports")).data, faults };
}

const facts = await inBoth(input.certificate, visit);
console.log(JSON.stringify({ ...facts, shown: await show() }));
