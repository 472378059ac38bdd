// Takes the pictures we look at: node tests/shots.mjs [folder]
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch, open } from "./stand/browser.mjs";
import { copiesOf } from "./stand/data.mjs";
import { Stand } from "./stand/server.mjs";

const folder = process.argv[2] ?? "shots";
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };

/** @type {{ name: string, scene?: import("./stand/data.mjs").Scene, path?: string, full?: true, app?: string, machines?: import("./stand/data.mjs").Machines, options?: import("playwright-core").BrowserContextOptions, after?: (page: import("playwright-core").Page) => Promise<void> }[]} */
const SHOTS = [
  { name: "light", options: { colorScheme: "light" } },
  { name: "dark", options: { colorScheme: "dark" } },
  { name: "phone", full: true, options: { ...phone, colorScheme: "light" } },
  { name: "phone-dark-top", options: { ...phone, colorScheme: "dark" } },
  { name: "empty", scene: "empty", options: { colorScheme: "light" } },
  { name: "empty-phone", scene: "empty", full: true, options: { ...phone, colorScheme: "dark" } },
  { name: "quiet", scene: "quiet", options: { colorScheme: "dark" } },
  { name: "history", path: "/#range=7d", options: { colorScheme: "light" } },
  { name: "history-dark", path: "/#range=24h", options: { colorScheme: "dark" }, after: async (page) => { await page.getByLabel("By page").check(); } },
  { name: "history-phone", path: "/#range=30d", full: true, options: { ...phone, colorScheme: "light" } },
  { name: "health", options: { colorScheme: "light" }, after: async (page) => { await page.getByRole("button", { name: "Degraded" }).click(); await page.mouse.move(400, 330); } },
  { name: "tablet", options: { viewport: { width: 900, height: 1100 }, colorScheme: "light" }, full: true },
  { name: "app", app: "default", options: { colorScheme: "light" } },
  { name: "app-dark", app: "default", options: { colorScheme: "dark" }, after: async (page) => { await page.getByRole("radio", { name: "Split" }).check(); } },
  { name: "app-phone", app: "default", full: true, options: { ...phone, colorScheme: "light" } },
  { name: "app-elsewhere", app: "shop", options: { colorScheme: "light" } },
  { name: "app-history", app: "default", path: "/#range=24h", options: { colorScheme: "dark" }, after: async (page) => { await page.getByRole("radio", { name: "Split" }).check(); } },
  { name: "machines", path: "/#page=machines", options: { colorScheme: "light" } },
  { name: "machines-dark", machines: "shared", path: "/#page=machines", options: { colorScheme: "dark" } },
  { name: "machines-phone", machines: "shared", path: "/#page=machines", full: true, options: { ...phone, colorScheme: "light" } },
  { name: "machines-cut-off", machines: "cut off", path: "/#page=machines", options: { colorScheme: "light" } },
  { name: "jobs", path: "/#page=jobs&queue=email", options: { colorScheme: "light" } },
  { name: "jobs-dark", path: "/#page=jobs&queue=email", options: { colorScheme: "dark" }, after: async (page) => { await page.getByRole("button", { name: "Show data of job 3" }).click(); await page.getByRole("button", { name: "Remove… job order-" }).first().click(); } },
  { name: "jobs-many", path: "/#page=jobs&queue=image-processing&status=waiting", options: { colorScheme: "light" } },
  { name: "jobs-tablet", path: "/#page=jobs&queue=email", full: true, options: { viewport: { width: 900, height: 1100 }, colorScheme: "dark" } },
  { name: "jobs-phone", path: "/#page=jobs&queue=email", full: true, options: { ...phone, colorScheme: "light" }, after: async (page) => { await page.getByRole("button", { name: "Show data of job 3" }).click(); } },
  { name: "jobs-empty", scene: "empty", path: "/#page=jobs", options: { colorScheme: "light" } },
  { name: "enter", path: "/enter.html", options: { colorScheme: "light" } },
  { name: "signed-out", path: "/signed-out.html", options: { ...phone, colorScheme: "dark" } },
];

await mkdir(folder, { recursive: true });
const browser = await launch();
const only = process.argv.slice(3);
for (const shot of SHOTS.filter((each) => only.length === 0 || only.includes(each.name))) {
  const stand = new Stand();
  stand.scene = shot.scene ?? "busy";
  if (stand.scene === "empty") stand.queues.clear();
  stand.machines = shot.machines ?? "alone";
  if (shot.app !== undefined) {
    stand.sites = ["default", "shop"];
    stand.copies = copiesOf(shot.app);
  }
  const address = await stand.listen();
  const { page, faults, close } = await open(browser, address + (shot.path ?? "/"), shot.options);
  await page.waitForTimeout(1600);
  await shot.after?.(page);
  await page.waitForTimeout(600);
  await page.screenshot({ path: join(folder, `${shot.name}.png`), fullPage: shot.full ?? false });
  if (faults.length > 0) console.log(shot.name, faults);
  await close();
  await stand.close();
}
await browser.close();
