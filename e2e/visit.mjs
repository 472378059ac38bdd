// One visit after another, and what the owner sees of them: views, vitals, errors, in-page navigation, privacy, bots.
// Prints one line of JSON. Argument: {"site", "admin", "token", "dataDir"}.
import { DESKTOP, launch, openPage, waitIn, whenAnswered, whenMeasured, whenPainted } from "./stand/browser.mjs";
import { openConsole, readRanking, readTile, whenShown, whenVitalsShown } from "./stand/console.mjs";
import { startProxy } from "./stand/proxy.mjs";
import { reader, until } from "./stand/server.mjs";

const ROUNDS = 3;
const VITALS = ["CLS", "FCP", "INP", "LCP", "TTFB"];

const input = JSON.parse(process.argv[2]);
const read = reader(input);

const sum = (rows, field) => rows.reduce((total, row) => total + row[field], 0);
const countViews = async (bots = "exclude") => sum((await read(`pages?bots=${bots}`)).data, "pageviews");
const countVisitors = async (bots = "exclude") => sum((await read(`visitors?bots=${bots}`)).data, "visitors");
const findPage = async (path, bots = "exclude") => (await read(`pages?bots=${bots}`)).data.find((row) => row.key === path);

/** Resolves with the time at which the API has `views` page views and as many samples of each vital. */
const whenRead = (views) =>
  until(`${views} views with all vitals`, async (note) => {
    const [pages, { data: vitals }] = await Promise.all([countViews(), read("vitals?by=site")]);
    note({ pages, vitals });
    const whole = VITALS.every((name) => vitals.find((row) => row.name === name)?.samples >= views);
    return whole && pages >= views && Date.now();
  });

/** Likewise for the console's screen. */
const whenSeen = async (console, views) => {
  await Promise.all([
    whenVitalsShown(console, views),
    whenShown(console, "[data-tile=pageviews] [data-value]", new RegExp(`^${views}$`)),
  ]);
  return Date.now();
};

/** A visit with a real click that hides the page by leaving it; how long until both places have all of it, in ms. */
async function measureHide(visitor, console, path, views) {
  await visitor.goto(input.site + path);
  await whenMeasured(visitor);
  await whenPainted(visitor);
  await visitor.click("button.hour");
  await whenAnswered(visitor);
  // The old page is hidden once the new one is committed. Nothing is asked before: on a busy machine the questions
  // themselves would be what keeps the visit from arriving.
  await visitor.goto("about:blank", { waitUntil: "commit" });
  const hidden = Date.now();
  const [api, screen] = await Promise.all([whenRead(views), whenSeen(console, views)]);
  return { path, api_ms: api - hidden, screen_ms: screen - hidden };
}

/** In-page navigation as a single-page application does it. */
async function navigateSoftly(visitor) {
  await visitor.goto(`${input.site}/journal/`);
  await whenMeasured(visitor);
  await visitor.evaluate(() => history.pushState(null, "", "/soft/second"));
  await visitor.goto("about:blank");
  return until("the second view", () => findPage("/soft/second"));
}

/** The same fault on two pages, and a rejection nobody caught. */
async function fail(visitor) {
  for (const path of ["/about", "/contact"]) {
    await visitor.goto(input.site + path);
    await whenMeasured(visitor);
    await visitor.evaluate(() => {
      setTimeout(() => { throw new TypeError("planned fault"); });
      setTimeout(() => { Promise.reject(new RangeError("planned rejection")); });
    });
    await Promise.all([1, 2].map(() => visitor.waitForEvent("pageerror")));
  }
  await visitor.goto("about:blank");
  return until("both errors, twice each", async (note) => {
    const { data } = await read("errors");
    note(data);
    return data.length >= 2 && data.every((row) => row.count >= 2) && data;
  });
}

/** A browser that asks for privacy (https://w3c.github.io/gpc/): counted, and nobody. */
async function visitPrivately(browser) {
  const path = "/thanks";
  const before = await countVisitors();
  // Added on the way: what Chromium sends while a page goes away lacks the headers of a context.
  const proxy = await startProxy(input.site, { add: { "sec-gpc": "1" } });
  const { context, page } = await openPage(browser, proxy.origin);
  await context.addInitScript(() => Object.defineProperty(navigator, "globalPrivacyControl", { value: true }));
  await page.goto(`${proxy.origin}${path}?utm_source=private`);
  await whenMeasured(page);
  await page.click("button.hour");
  await page.goto("about:blank");
  const row = await until("the private view", () => findPage(path));
  await until("its vitals", async () => (await read("vitals?by=page")).data.some((row) => row.key === path));
  await context.close();
  await proxy.close();
  const sources = (await read("sources")).data.map((source) => source.key);
  return { row, visitors: [before, await countVisitors()], sources };
}

/** Headless Chromium under its own name. */
async function visitAsBot() {
  const path = "/work/cistern";
  const browser = await launch(null);
  const { page } = await openPage(browser, input.site);
  await page.goto(input.site + path);
  await whenMeasured(page);
  await page.goto("about:blank");
  const only = await until("the bot's view", () => findPage(path, "only"));
  await browser.close();
  return { path, only, exclude: (await findPage(path)) ?? null, include: await findPage(path, "include") };
}

/** What the console's lists say, against the API's. */
async function compare(console) {
  const views = await countViews();
  await whenShown(console.page, "[data-tile=pageviews] [data-value]", new RegExp(`^${views}$`));
  const api = (await read("pages")).data.map((row) => [row.key, row.visitors, row.pageviews]);
  const errors = await console.page.locator("[data-panel=js-errors] .error-text").allTextContents();
  return {
    views: [await readTile(console.page, "pageviews"), views],
    visitors: [await readTile(console.page, "visitors"), (await read("visitors/now")).now],
    pages: [await readRanking(console.page, "pages"), api],
    errors,
  };
}

/** A link to the console on a page of another site, which browsers follow without the session's cookie. */
async function followLink({ context }) {
  const page = await context.newPage();
  // Other ports of one host are the same site; another name is not. A file that is no page adds no view.
  await page.goto(`${input.site.replace("127.0.0.1", "localhost")}/robots.txt`);
  await page.evaluate((admin) => {
    document.body.append(Object.assign(document.createElement("a"), { id: "console", href: `${admin}/#range=24h` }));
    document.querySelector("#console").click();
  }, input.admin);
  await whenShown(page, "h1", /^Last 24 hours$/);
  await page.close();
}

/** Everything else in the console that asks the server: the longer ranges, and the way out. */
async function useConsole(page, views) {
  const ranges = [];
  for (const range of ["24 h", "7 d", "30 d"]) {
    await page.getByLabel(range, { exact: true }).check();
    await whenShown(page, "[data-tile=pageviews] [data-value]", new RegExp(`^${views}$`));
    await waitIn(page, `five vitals of ${range}`, () => document.querySelectorAll("[data-vital]").length === 5);
    ranges.push(range);
  }
  await page.getByRole("button", { name: "Sign out" }).click();
  await whenShown(page, "h1", /signed out/);
  const answer = await page.request.get(`${input.admin}/api/v1/session`);
  return { ranges, status: answer.status() };
}

const browser = await launch();
const [console_, visitor] = await Promise.all([openConsole(browser, input), openPage(browser, input.site)]);
const hides = [];
for (const path of ["/", "/work/", "/journal/one-lens-for-a-year"].slice(0, ROUNDS))
  hides.push(await measureHide(visitor.page, console_.page, path, hides.length + 1));
const vitals = (await read("vitals?by=page")).data;
const soft = await navigateSoftly(visitor.page);
const errors = await fail(visitor.page);
const private_ = await visitPrivately(browser);
const bot = await visitAsBot();
const shown = await compare(console_);
await followLink(console_);
const used = await useConsole(console_.page, shown.views[1]);
await browser.close();
console.log(JSON.stringify({ hides, vitals, soft, errors, private: private_, bot, shown, used, console_faults: console_.faults }));
