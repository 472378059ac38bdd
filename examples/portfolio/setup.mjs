// Copies the web fonts this site uses from their npm packages into site/fonts/.
// Everything else in site/ is committed as it is served.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const packages = join(here, "node_modules", "@fontsource-variable");
const target = join(here, "site", "fonts");

const fonts = [
  ["bricolage-grotesque", "files/bricolage-grotesque-latin-wdth-normal.woff2", "bricolage-grotesque.woff2"],
  ["newsreader", "files/newsreader-latin-wght-normal.woff2", "newsreader.woff2"],
  ["newsreader", "files/newsreader-latin-wght-italic.woff2", "newsreader-italic.woff2"],
  // The licence asks to travel with the fonts.
  ["bricolage-grotesque", "LICENSE", "bricolage-grotesque-OFL.txt"],
  ["newsreader", "LICENSE", "newsreader-OFL.txt"],
];

const sources = fonts.map(([name, file]) => join(packages, name, file));

if (!sources.every(existsSync)) {
  // npm is a .cmd file on Windows, which only a shell can start.
  const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: here,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (npm.status !== 0) {
    console.error("npm ci failed; the site still works, with the fonts of the visitor's system.");
    process.exit(1);
  }
}

mkdirSync(target, { recursive: true });
fonts.forEach(([, , name], i) => copyFileSync(sources[i], join(target, name)));
console.log(`${fonts.length} files in site/fonts`);
