// How old the numbers on screen are; speaks up only when they stop arriving and when they return.
import { clockSeconds, duration } from "../format";
import { asOf } from "../state/history";
import { jobsAsOf } from "../state/jobs";
import { snapshot, staleSeconds } from "../state/live";
import { machinesAsOf } from "../state/machines";
import { page, range } from "../state/view";

function shownTime(): string | null {
  if (page.value === "machines") return machinesAsOf.value;
  if (page.value === "jobs") return jobsAsOf.value;
  return range.value === "live" ? (snapshot.value?.t ?? null) : asOf.value;
}

export function Freshness() {
  const stale = staleSeconds.value;
  const shown = shownTime();
  return (
    <div class="freshness">
      {stale !== null && (
        <span class="badge status-warn" data-stale>
          <span aria-hidden="true">▲</span> Stale · {duration(stale)}
        </span>
      )}
      {shown === null
        ? <span class="as-of">Waiting for data</span>
        : <span class="as-of">as of <time dateTime={shown}>{clockSeconds(Date.parse(shown) / 1000)}</time></span>}
      <span class="hidden" role="status">{stale === null ? "" : "The live stream has stopped; numbers are old. Reconnecting."}</span>
    </div>
  );
}
