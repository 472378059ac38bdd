// Filters the work by the part of the day; the choice is kept in the address.
const chips = [...document.querySelectorAll(".chip")];
const items = [...document.querySelectorAll(".cards li")];
const count = document.querySelector(".filters output");
const known = new Set(chips.map((chip) => chip.value));

function show(part) {
  for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.value === part));
  let shown = 0;
  for (const item of items) {
    item.hidden = part !== "all" && item.dataset.part !== part;
    if (!item.hidden) shown += 1;
  }
  count.textContent = shown === 1 ? "1 building" : `${shown} buildings`;
}

function choose(part) {
  const address = new URL(location.href);
  if (part === "all") address.searchParams.delete("light");
  else address.searchParams.set("light", part);
  history.replaceState(null, "", address);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (document.startViewTransition && !calm) document.startViewTransition(() => show(part));
  else show(part);
}

for (const chip of chips) chip.addEventListener("click", () => choose(chip.value));

const asked = new URL(location.href).searchParams.get("light");
show(known.has(asked) ? asked : "all");
