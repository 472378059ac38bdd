// The server's verdict on itself and, opened, every check behind it.
import { Disclosure } from "../parts/Disclosure";
import { snapshot } from "../state/live";
import type { Check } from "../wire";

const WORDS: Record<string, string> = { pass: "Healthy", warn: "Degraded", fail: "Failing" };
const SHAPES: Record<string, string> = { pass: "●", warn: "▲", fail: "■" };

function CheckRow({ check }: { check: Check }) {
  return (
    <li class="check">
      <span class={`check-status status-${check.status}`}>
        <span aria-hidden="true">{SHAPES[check.status] ?? "○"}</span> {check.status}
      </span>
      <span class="check-name">{check.name}{check.component != null && <span class="check-of"> {check.component}</span>}</span>
      {check.output !== undefined && check.output !== "" && <span class="check-output">{check.output}</span>}
    </li>
  );
}

export function HealthBadge() {
  const now = snapshot.value;
  if (now === null) return <span class="badge status-unknown">Health –</span>;
  const face = (
    <>
      <span aria-hidden="true">{SHAPES[now.health] ?? "○"}</span> {WORDS[now.health] ?? now.health}
    </>
  );
  return (
    <Disclosure class={`badge badge-button status-${now.health}`} label="Health checks" face={face}>
      <h2 class="disclosure-title">Health checks</h2>
      {now.checks.length === 0
        ? <p class="disclosure-note">No check has reported yet.</p>
        : <ul class="checks">{now.checks.map((check) => <CheckRow key={`${check.name} ${check.component ?? ""}`} check={check} />)}</ul>}
      <p class="disclosure-note">Mainstay {now.version}</p>
    </Disclosure>
  );
}
