// Every page of examples/nextjs through Mainstay over TLS, in Chromium and in Firefox: loads whole and without a
// violation, wakes up, moves on without loading anew, takes a form; what was planted does not run; views and vitals
// arrive. Prints one line of JSON. Argument: {"site", "planted", "bare", "app", "admin", "token", "certificate"}: the
// site, the same behind planted script, that without Mainstay, the app, and the API of the first.
import { takeFaults } from "./stand/faults.mjs";
import { byKey, fill, goBack, inBoth, listBroken, open, untilIn, whenLoaded } from "./stand/pair.mjs";
import { listWeaknesses } from "./stand/policy.mjs";
import { reader, until, within } from "./stand/server.mjs";

const PAGES = ["/", "/week", "/cove", "/book", "/no/such/page"];
/** One page of each kind: made for the request, and made by the build. */
const PLANTED = ["/", "/cove"];
/** How many scripts are planted in a page. */
const PLANTS = 5;

const input = JSON.parse(process.argv[2]);
const began = Date.now();
const read = reader(input);
/** Views of each page so far, as they should be counted. */
const views = {};
const expectView = (path) => (views[path] = (views[path] ?? 0) + 1);

async function goTo(page, path) {
  const response = await open(page, input.site + path);
  await whenLoaded(page);
  expectView(path);
  return response;
}

/** Each page by its address. */
async function load(visitor) {
  const { page } = visitor;
  const pages = [];
  for (const path of PAGES) {
    const response = await goTo(page, path);
    const weaknesses = listWeaknesses(response.headers()["content-security-policy"]);
    pages.push({ path, status: response.status(), broken: await listBroken(page), weaknesses, faults: await takeFaults(visitor) });
  }
  return pages;
}

/** The page that is made again while the server runs, once it has been: its scripts are no longer the build's. */
async function renew(visitor) {
  const { page } = visitor;
  await until("a page made after the start", async (note) => {
    await goTo(page, "/week");
    const printed = await page.$eval("#printed", (time) => time.dateTime);
    note(printed);
    return Date.parse(printed) > began;
  });
  await clickAwake(page, ".night");
  return { night: await whenNight(page), faults: await takeFaults(visitor) };
}

/** Clicks what React has taken charge of: before, a click says nothing about waking up. */
async function clickAwake(page, selector) {
  await untilIn(page, `${selector} awake`, (selector) =>
    Object.keys(document.querySelector(selector) ?? {}).some((key) => key.startsWith("__reactProps")), selector);
  await page.click(selector);
}

/** What the script before the page's own remembers of the last click on the sky. */
const whenNight = (page) => untilIn(page, "night", () => document.documentElement.dataset.sky === "night");

/** A component with state on a page of the build, and one that asks a route handler on a page made for the request. */
async function wake({ page }) {
  await goTo(page, "/cove");
  const night = await whenNight(page);
  for (const _ of [1, 2, 3]) await clickAwake(page, ".lengths button");
  const lengths = await untilIn(page, "three lengths", () => document.querySelector("#lengths").textContent === "3");
  await goTo(page, "/");
  const still = await whenNight(page);
  await clickAwake(page, "#ask");
  const asked = await untilIn(page, "an answer", () => document.querySelector("#ask").dataset.asked === "1");
  const zone = await untilIn(page, "the zone", () => document.querySelector("#zone").textContent !== "its own zone");
  return { lengths, asked, zone, night: night && still };
}

/** Is it still the document that was marked? */
const isKept = (page) => within("a word of the document", page.evaluate(() => window.kept === true));

/** The views of these pages, once there are as many as there should be. */
const whenCounted = (paths) =>
  until(`all views of ${paths}`, async (note) => {
    const rows = byKey((await read("pages")).data);
    const expected = Object.fromEntries(paths.map((path) => [path, views[path]]));
    const counted = Object.fromEntries(paths.map((path) => [path, rows[path]?.pageviews ?? 0]));
    note({ expected, counted });
    return paths.every((path) => counted[path] >= expected[path]) && { expected, counted };
  });

/** By the links of the page from kind to kind and back, in one document; going back is a view as well. */
async function navigate({ page }) {
  await goTo(page, "/cove");
  await within("a mark in the document", page.evaluate(() => (window.kept = true)));
  await clickAwake(page, 'nav a[href="/week"]');
  const heads = [];
  const shown = async (path, head) => {
    await untilIn(page, `${head} on ${path}`, ([path, head]) =>
      location.pathname === path && document.querySelector("h1")?.textContent.startsWith(head), [path, head]);
    expectView(path);
    heads.push(head);
  };
  await shown("/week", "Seven days");
  await page.click("a.brand");
  await shown("/", "The sea holds");
  await untilIn(page, "the script of that page", () => document.querySelector("#zone").textContent !== "its own zone");
  await goBack(page);
  await shown("/week", "Seven days");
  const back = await whenCounted(["/week"]);
  await page.click('nav a[href="/book"]');
  await shown("/book", "The swimmers");
  return { heads, back, kept: await isKept(page), broken: await listBroken(page) };
}

/** The form with its server action; the page is left as it is by `navigate`. */
async function write({ page }, name) {
  const words = `Cold, said ${name}.`;
  await fill(page, "input[name=name]", name);
  await fill(page, "textarea[name=words]", words);
  await page.click(".book-form button");
  const thanks = await untilIn(page, "thanks", () => document.querySelector("[role=status]").textContent);
  const listed = await untilIn(page, "the entry", (words) => document.querySelector(".entries").textContent.includes(words), words);
  return { thanks, listed, kept: await isKept(page) };
}

/** What runs of the script that was planted in the app's pages, and what the policy said to it. */
async function plant(openVisitor, origin) {
  const { context, page, faults } = await openVisitor(origin);
  const found = [];
  for (const path of PLANTED) {
    await within(`a load of ${path} with plants`, page.goto(origin + path));
    const listBlocked = () => faults.filter((fault) => fault.startsWith("policy:"));
    const ran = await until("a verdict on each plant", async (note) => {
      const ran = await page.evaluate(() => window.planted ?? []);
      note({ ran, faults });
      return ran.length + listBlocked().length >= PLANTS && ran.sort();
    });
    found.push({ path, ran, blocked: listBlocked().length });
    faults.splice(0);
  }
  await within("the end of the planted visit", context.close());
  return found;
}

async function visit(name, openVisitor) {
  const visitor = await openVisitor(input.site);
  const facts = { pages: await load(visitor), renewed: await renew(visitor), awake: await wake(visitor) };
  facts.navigated = await navigate(visitor);
  facts.written = await write(visitor, name);
  // What was measured is sent when the page goes away.
  await within("a blank page", visitor.page.goto("about:blank"));
  facts.faults = await takeFaults(visitor);
  facts.vitals = await until("vitals", async (note) => {
    const names = new Set((await read("vitals?by=site")).data.map((row) => row.name));
    note([...names]);
    return ["FCP", "LCP", "TTFB"].every((vital) => names.has(vital)) && [...names].sort();
  });
  facts.views = await whenCounted(Object.keys(views));
  facts.visitors = (await read("visitors/now")).now;
  await within("the end of the visit", visitor.context.close());
  facts.planted = { guarded: await plant(openVisitor, input.planted), bare: await plant(openVisitor, input.bare) };
  return facts;
}

const facts = await inBoth(input.certificate, visit);
facts.reports = (await read("reports")).data;
// What Next.js' own hook told the app.
facts.told = await (await fetch(`${input.app}/api/vitals`)).json();
console.log(JSON.stringify(facts));
