// The bar on top: whose console this is, how the server is, which time is looked at, and the way out.
import { useState } from "preact/hooks";
import { Mark } from "../parts/Mark";
import { Segments } from "../parts/Segments";
import { endSession } from "../state/session";
import { theme, toggleTheme } from "../state/theme";
import { page, range, RANGES, SPANS, type PageName } from "../state/view";
import type { Session } from "../wire";
import { Freshness } from "./Freshness";
import { HealthBadge } from "./HealthBadge";
import { SitePicker } from "./SitePicker";

const CHOICES = RANGES.map((value) =>
  value === "live" ? { value, label: "Live" } : { value, label: SPANS[value].label, title: SPANS[value].title });

const PAGE_LABELS: [PageName, string][] = [["site", "Site"], ["jobs", "Jobs"], ["machines", "Machines"]];

function Pages() {
  return (
    <nav class="pages" aria-label="Pages">
      {PAGE_LABELS.map(([name, label]) => (
        <button key={name} type="button" class="quiet" aria-current={page.value === name ? "page" : undefined} onClick={() => { page.value = name; }}>
          {label}
        </button>
      ))}
    </nav>
  );
}

function ThemeButton() {
  const next = theme.value === "dark" ? "light" : "dark";
  const label = `Switch to the ${next} theme`;
  return (
    <button type="button" class="quiet icon-button" aria-label={label} title={label} onClick={toggleTheme}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <circle class="icon-line" cx="8" cy="8" r="6" />
        <path class="icon-fill" d="M8 2a6 6 0 0 1 0 12z" />
      </svg>
    </button>
  );
}

function SignOut() {
  const [failed, setFailed] = useState(false);
  const leave = async (): Promise<void> => setFailed(!(await endSession()));
  return (
    <>
      {failed && <span class="badge status-fail" role="alert">Not signed out: no answer</span>}
      <button type="button" class="quiet" onClick={() => void leave()}>Sign out</button>
    </>
  );
}

export function Header({ session }: { session: Session }) {
  return (
    <header class="top">
      <div class="top-who">
        <span class="brand"><Mark /><span class="brand-name">Mainstay</span></span>
        <SitePicker session={session} />
        <span class="badge" title="Environment">{session.environment}</span>
        <HealthBadge />
        <Pages />
      </div>
      <div class="top-when">
        <Freshness />
        {page.value === "site" && (
          <Segments legend="Time range" options={CHOICES} value={range.value} onChange={(value) => { range.value = value; }} />
        )}
      </div>
      <div class="top-out">
        <ThemeButton />
        <SignOut />
      </div>
    </header>
  );
}
