// Which pages the example has, and whether one of them works. Drives no browser of its own.
import { readdirSync } from "node:fs";

const NOT_FOUND = "/no/such/page";

/** The address of every HTML file of a site; the page for missing ones has the address of a missing one. */
export function listPages(dir) {
  const files = readdirSync(dir, { recursive: true }).map((name) => `/${name.replaceAll("\\", "/")}`);
  return files
    .filter((file) => file.endsWith(".html"))
    .map((file) => (file === "/404.html" ? NOT_FOUND : file.replace(/(?<=\/)index\.html$|\.html$/, "")))
    .sort();
}

/** Everything in the loaded page that a wrong policy, header or file would have stopped; empty when all is well. */
export async function listBroken(page) {
  await page.waitForFunction(() => document.readyState === "complete" && window.mainstay?.v);
  return page.evaluate(async () => {
    const broken = [];
    const name = (element) => element.outerHTML.slice(0, 90);
    for (const element of document.querySelectorAll("style, link[rel=stylesheet]"))
      if (!element.sheet?.cssRules.length) broken.push(`style sheet: ${name(element)}`);
    for (const element of document.querySelectorAll("[style]"))
      if (!element.style.length) broken.push(`style attribute: ${name(element)}`);
    for (const image of document.images) {
      // The viewer's picture has no address until a plate is opened.
      if (!image.hasAttribute("src")) continue;
      image.loading = "eager";
      await image.decode().catch(() => broken.push(`image: ${name(image)}`));
    }
    await document.fonts.ready;
    for (const family of ["Bricolage Grotesque", "Newsreader"]) {
      const faces = [...document.fonts].filter((face) => face.family.includes(family.split(" ")[0]));
      if (!faces.some((face) => face.status === "loaded")) broken.push(`font: ${family}`);
    }
    // Each is the doing of another script: inline in the head, a deferred file, a module.
    const root = document.documentElement;
    if (!root.classList.contains("js")) broken.push("inline script");
    if (!root.dataset.hour) broken.push("js/site.js");
    if (document.querySelector(".filters") && !document.querySelector(".filters output").value) broken.push("js/gallery.js");
    if (document.querySelector(".plate") && !document.querySelector("dialog.viewer")) broken.push("js/viewer.js");
    return broken;
  });
}
