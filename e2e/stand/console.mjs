// The console as its owner uses it: signing in by link, reading what is on screen.
import { DESKTOP, openPage, waitIn } from "./browser.mjs";
import { askControl } from "./server.mjs";

/** Signs in with a fresh link; resolves with the console's policy once live numbers are on screen. */
export async function signIn(page, { admin, dataDir }) {
  const { url } = await askControl(dataDir, "POST", "/link");
  await page.goto(url);
  const [response] = await Promise.all([
    page.waitForResponse(`${admin}/`),
    page.getByRole("button", { name: "Sign in" }).click(),
  ]);
  await whenShown(page, "[data-tile=visitors] [data-value]", /^\d/);
  return response.headers()["content-security-policy"];
}

/** The console in a browser context of its own. */
export async function openConsole(browser, server, options = DESKTOP) {
  const opened = await openPage(browser, server.admin, options);
  return { ...opened, policy: await signIn(opened.page, server) };
}

/** Resolves when the first element of `selector` shows what `pattern` says. */
export const whenShown = (page, selector, pattern) =>
  waitIn(
    page,
    `${pattern} in ${selector}`,
    ([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.textContent ?? ""),
    [selector, pattern.source],
  );

/** Resolves when all five vitals are on screen with at least `samples` samples each. */
export const whenVitalsShown = (page, samples) =>
  waitIn(page, `${samples} samples of each vital`, (samples) => {
    const cards = [...document.querySelectorAll("[data-vital]")];
    const shown = cards.filter((card) => Number.parseInt(card.querySelector(".vital-samples")?.textContent ?? "0", 10) >= samples);
    return shown.length === 5 && shown.every((card) => /\d/.test(card.querySelector("[data-value]").textContent));
  }, samples);

/** The rows of a ranking as `[key, visitors, views]`. */
export const readRanking = (page, panel) =>
  page.locator(`[data-panel=${panel}] tbody tr`).evaluateAll((rows) =>
    rows.map((row) => [...row.children].map((cell, at) => (at === 0 ? cell.title : Number(cell.textContent)))));

/** The number in a tile. */
export const readTile = async (page, tile) =>
  Number((await page.locator(`[data-tile=${tile}] [data-value]`).textContent()).replaceAll(/\D/g, ""));

/** Looks at the machines: what is said of each process, and of each file or server that keeps the rows. */
export async function readMachines(page) {
  await page.getByRole("button", { name: "Machines" }).click();
  const read = async (panel) => {
    const states = page.locator(`[data-panel=${panel}] .machine-state`);
    await states.first().waitFor();
    return (await states.allInnerTexts()).map((text) => text.trim());
  };
  return { processes: await read("processes"), databases: await read("databases") };
}
