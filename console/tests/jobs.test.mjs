// The jobs page in Chromium under the real CSP, against the stand.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { launch, open } from "./stand/browser.mjs";
import { Stand } from "./stand/server.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Stand} */
let stand;
/** @type {string} */
let address;
/** @type {(() => Promise<void>)[]} */
let closing = [];

before(async () => { browser = await launch(); });
after(() => browser.close());

beforeEach(async () => {
  stand = new Stand();
  address = await stand.listen();
});

afterEach(async () => {
  await Promise.all(closing.map((close) => close()));
  closing = [];
  await stand.close();
});

/** @param {string} place */
async function show(place = "") {
  const opened = await open(browser, `${address}/#page=jobs${place}`);
  closing.push(opened.close);
  await opened.page.locator("[data-panel=jobs] .scroll").waitFor();
  return opened;
}

/** @param {import("playwright-core").Page} page @param {string} name */
const queue = (page, name) => page.locator(".queue").filter({ has: page.getByRole("button", { name, exact: true }) });

/** @param {import("playwright-core").Page} page @param {string} id */
const job = (page, id) => page.locator(".job").filter({ has: page.locator(`.job-id:text-is("${id}")`) });

/** @param {import("playwright-core").Page} page @param {string} tile */
const tile = (page, tile) => page.locator(`[data-tile=${tile}]`);

/** What was read of the jobs since. @param {number} from */
const reads = (from = 0) => stand.reads.slice(from).filter((read) => read.startsWith("/api/v1/jobs?")).map((read) => new URLSearchParams(read.split("?")[1]));

test("how the queues stand is seen at a glance, and what came to nothing first", async () => {
  const { page, faults } = await show("&queue=email");
  await job(page, "3").waitFor();
  assert.match(await tile(page, "waiting").innerText(), /62\s+the oldest for 3 min 10 s/);
  assert.match(await tile(page, "active").innerText(), /1\s+1 of 4 queues paused/);
  assert.match(await tile(page, "unfinished").innerText(), /4\s+3 failed, 1 dead/);
  assert.equal(await tile(page, "unfinished").locator(".tone-bad").count(), 1);
  assert.match(await queue(page, "email").innerText(), /oldest 3 min 10 s[\s\S]*waiting\s+2\s+active\s+1\s+delayed\s+1\s+completed\s+4\s+failed\s+3\s+dead\s+1/);
  assert.match(await queue(page, "image-processing").innerText(), /▲ Paused/);
  assert.equal(await queue(page, "email").locator(".state-bad").count(), 2);
  assert.match(await job(page, "3").innerText(), /order-confirmation 3\s+3 of 3 attempts · failed 1 min ago\s+the mail server said: 451 4\.7\.1 please try again later <img src=x/);
  assert.equal(await page.locator("main img").count(), 0, "texts of jobs are text");
  assert.deepEqual(faults, []);
});

test("jobs of each status are told in its words, and the address keeps what is looked at", async () => {
  const { page } = await show("&queue=email");
  const choose = (/** @type {RegExp} */ name) => page.getByRole("radio", { name }).check();
  await choose(/^waiting/);
  await job(page, "21").waitFor();
  assert.match(await job(page, "21").innerText(), /0 of 3 attempts · added 3 min ago/);
  assert.match(await job(page, "22").innerText(), /1 of 3 attempts · could begin 4\d s ago/);
  await choose(/^active/);
  await job(page, "30").filter({ hasText: /progress 40 · began 2 min ago/ }).waitFor();
  await choose(/^delayed/);
  await job(page, "31").filter({ hasText: /begins in (59 min|1 h)/ }).waitFor();
  await choose(/^dead/);
  await job(page, "9").filter({ hasText: /lost its worker 2 × · buried 1 min ago\s*nobody knows this type/ }).waitFor();
  await choose(/^completed/);
  await job(page, "40").filter({ hasText: "done 1 min ago" }).waitFor();
  assert.match(page.url(), /#page=jobs&queue=email&status=completed$/);
  await page.reload();
  await job(page, "40").waitFor();
  await page.getByRole("button", { name: "analytics", exact: true }).click();
  await page.getByText("No job is completed.").waitFor();
});

test("its data unfolds when asked for", async () => {
  const { page } = await show("&queue=email&status=completed");
  await job(page, "40").waitFor();
  assert.equal(await page.getByText("resetToken").count(), 0);
  const button = page.getByRole("button", { name: "Show data of job 40" });
  assert.equal(await button.getAttribute("aria-expanded"), "false");
  await button.press("Enter");
  assert.match(await job(page, "40").innerText(), /Payload[\s\S]*"resetToken": "\[redacted\]"[\s\S]*Result\s+\{\s+"accepted": 1/);
  const hide = page.getByRole("button", { name: "Hide data of job 40" });
  assert.equal(await hide.getAttribute("aria-expanded"), "true");
  await hide.press("Enter");
  assert.equal(await page.getByText("resetToken").count(), 0);
});

test("a long list is looked at page by page", async () => {
  const { page } = await show("&queue=image-processing&status=waiting");
  await job(page, "1000").waitFor();
  assert.equal(await page.locator(".job").count(), 25);
  assert.equal(await page.getByRole("button", { name: "Previous" }).isDisabled(), true);
  await page.getByRole("button", { name: "Next" }).click();
  await job(page, "1025").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await job(page, "1059").waitFor();
  assert.equal(await page.getByText("Page 3").count(), 1);
  assert.equal(await page.getByRole("button", { name: "Next" }).isDisabled(), true);
  const before = stand.reads.length;
  await page.getByRole("button", { name: "Previous" }).click();
  await job(page, "1025").waitFor();
  assert.equal(reads(before)[0]?.get("cursor"), "25");
  await page.getByRole("radio", { name: /^failed/ }).check();
  await page.getByText("No job is failed.").waitFor();
  assert.equal(reads().at(-1)?.get("cursor"), null, "another list begins at its first page");
});

test("a failed job waits again, and one that waits is cancelled", async () => {
  const { page } = await show("&queue=email");
  await page.getByRole("button", { name: "Retry job 3", exact: true }).click();
  await page.getByText("Job 3 waits again.").waitFor();
  await job(page, "3").waitFor({ state: "detached" });
  await tile(page, "unfinished").filter({ hasText: "2 failed, 1 dead" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Jobs", "the focus stays in the list");
  await page.getByRole("radio", { name: /^waiting/ }).check();
  await page.getByRole("button", { name: "Cancel job 21", exact: true }).click();
  await page.getByText("Job 21 is cancelled.").waitFor();
  await job(page, "21").waitFor({ state: "detached" });
  assert.deepEqual(stand.changes, ["POST /api/v1/jobs/email/3/retry", "POST /api/v1/jobs/email/21/cancel"]);
});

test("removing asks first, and nobody removes by pressing Enter twice", async () => {
  const { page } = await show("&queue=email");
  const ask = page.getByRole("button", { name: "Remove… job 2", exact: true });
  await ask.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("group", { name: "Remove job 2 for good?" }).waitFor();
  await page.keyboard.press("Enter");
  await ask.waitFor();
  await page.waitForFunction(() => document.activeElement?.textContent?.startsWith("Remove…"));
  await page.keyboard.press("Enter");
  await page.getByRole("group", { name: "Remove job 2 for good?" }).waitFor();
  await page.keyboard.press("Escape");
  await ask.waitFor();
  assert.deepEqual(stand.changes, []);
  await ask.click();
  await page.getByRole("button", { name: "Remove", exact: true }).focus();
  // Each answer draws the list anew, the second for certain after this focus.
  for (let i = 0; i < 2; i += 1) await page.waitForResponse((answer) => answer.url().includes("/api/v1/jobs?"));
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Remove", "a refresh moves no focus");
  await page.keyboard.press("Enter");
  await page.getByText("Job 2 is removed.").waitFor();
  await job(page, "2").waitFor({ state: "detached" });
  assert.deepEqual(stand.changes, ["DELETE /api/v1/jobs/email/2"]);
  assert.equal(await page.getByRole("button", { name: /Remove… job/ }).count(), 2);
});

test("nothing is removed that somebody works on", async () => {
  const { page } = await show("&queue=email&status=active");
  await job(page, "30").waitFor();
  assert.deepEqual(await job(page, "30").getByRole("button").allInnerTexts(), ["Show data\nof job 30", "Cancel\njob 30"]);
});

test("a queue is paused and goes on", async () => {
  const { page } = await show("&queue=email");
  await page.getByRole("button", { name: "Pause email" }).click();
  await queue(page, "email").filter({ hasText: "Paused" }).waitFor();
  await page.getByRole("button", { name: "Resume email" }).click();
  await page.getByRole("button", { name: "Pause email" }).waitFor();
  assert.deepEqual(stand.changes, ["POST /api/v1/jobs/queues/email/pause", "POST /api/v1/jobs/queues/email/resume"]);
});

test("what is refused says why, and whoever may look only is offered nothing more", async () => {
  const { page } = await show("&queue=email");
  await job(page, "2").waitFor();
  stand.queues.jobs = stand.queues.jobs.filter((each) => each.id !== "2");
  await page.getByRole("button", { name: "Retry job 2", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "Job 2 not found" }).waitFor();
  stand.readOnly = true;
  await page.getByRole("button", { name: "Retry job 3", exact: true }).click();
  await page.getByText("You may look here, and change nothing").waitFor();
  assert.equal(await page.getByRole("button", { name: /^(Retry|Cancel|Remove|Pause|Resume)/ }).count(), 0);
  assert.ok((await page.getByRole("button", { name: /^Show data/ }).count()) > 0);
});

test("without a queue it says how to have one; a queue that is gone is not another's", async () => {
  stand.queues.clear();
  const { page, faults, close } = await open(browser, `${address}/#page=jobs`);
  closing.push(close);
  await page.getByText("There is no queue.").waitFor();
  assert.match(await page.locator("[data-panel=queues]").innerText(), /\[\[jobs\.queue\]\]/);
  assert.equal(await page.locator("[data-panel=jobs]").count(), 0);
  stand.queues.paused.set("email", false);
  await page.getByText("No job is failed.").waitFor();
  await page.goto(`${address}/#page=jobs&queue=gone`);
  await page.getByText("Queue gone not found").waitFor();
  assert.deepEqual(faults, []);
});

test("a read that fails says why and keeps what was read before", async () => {
  stand.broken.add("/api/v1/jobs");
  const { page, close } = await open(browser, `${address}/#page=jobs&queue=email`);
  closing.push(close);
  await page.locator("[data-panel=jobs]").getByText("The store is away. Trying again").waitFor();
  stand.broken.clear();
  await job(page, "3").waitFor();
  stand.broken.add("/api/v1/jobs").add("/api/v1/jobs/queues");
  await page.locator("[data-panel=queues]").getByText("Not refreshed: The store is away.").waitFor();
  await page.locator("[data-panel=jobs]").getByText("Not refreshed: The store is away.").waitFor();
  assert.equal(await job(page, "3").count(), 1);
  assert.equal(await queue(page, "email").count(), 1);
});

test("jobs are read only while they are looked at, and follow what happens", async () => {
  const { page, close } = await open(browser, address);
  closing.push(close);
  await tile(page, "visitors").filter({ hasText: "23" }).waitFor();
  assert.equal(stand.reads.filter((read) => read.startsWith("/api/v1/jobs")).length, 0);
  await page.getByRole("button", { name: "Jobs", exact: true }).click();
  await tile(page, "waiting").filter({ hasText: "62" }).waitFor();
  stand.queues.jobs = stand.queues.jobs.filter((each) => each.queue === "email");
  await tile(page, "waiting").filter({ hasText: "2" }).filter({ hasNotText: "62" }).waitFor();
  await page.evaluate(() => Object.defineProperty(document, "hidden", { value: true }));
  // A look that was under way when the page was hidden still comes; what is not asked for shows only as time that passes.
  await page.waitForTimeout(1_000);
  const before = stand.reads.length;
  await page.waitForTimeout(6_000);
  assert.equal(stand.reads.slice(before).length, 0, "a hidden page rests");
});
