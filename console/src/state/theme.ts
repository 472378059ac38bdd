// Dark or light: the system's wish unless this browser was told otherwise.
import { computed, effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const KEY = "mainstay-theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");

/** Storage may be forbidden; the toggle then lasts as long as the page. */
function readChoice(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null;
  }
}

function storeChoice(choice: Theme | null): void {
  try {
    if (choice === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // Forbidden storage: the choice stays in memory.
  }
}

const system = signal<Theme>(systemDark.matches ? "dark" : "light");
const choice = signal<Theme | null>(readChoice());

export const theme = computed<Theme>(() => choice.value ?? system.value);

/** The other theme; choosing what the system wishes forgets the choice. */
export function toggleTheme(): void {
  const next: Theme = theme.value === "dark" ? "light" : "dark";
  choice.value = next === system.value ? null : next;
  storeChoice(choice.value);
}

export function bindTheme(): void {
  systemDark.addEventListener("change", (event) => {
    system.value = event.matches ? "dark" : "light";
  });
  effect(() => {
    if (choice.value === null) delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = choice.value;
  });
}
