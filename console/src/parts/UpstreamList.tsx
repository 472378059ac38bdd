// The copies of an app, each with its state as shape, word and colour together.
import { ago, count, milliseconds, plural } from "../format";
import type { UpstreamRow } from "../wire";

const WORDS: Record<string, string> = { healthy: "Healthy", starting: "Starting", failing: "Failing", draining: "Draining" };
const SHAPES: Record<string, string> = { healthy: "●", starting: "▲", failing: "■", draining: "○" };
const TITLES: Record<string, string> = {
  healthy: "Gets requests",
  starting: "Came back and gets a growing share of requests",
  failing: "Does not answer, or says that it cannot; gets no requests until its checks are good",
  draining: "Finishes what it has in hand, gets nothing new",
};

function facts(row: UpstreamRow): string {
  const unanswered = row.errors === 0 ? "" : `, ${count(row.errors)} unanswered`;
  return `${milliseconds(row.latency_ms)} · ${count(row.in_flight)} in hand · ${plural(row.requests, "request")}${unanswered}`;
}

export function UpstreamList({ rows, nowMs }: { rows: UpstreamRow[]; nowMs: number }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Copies of the app">
      <ul class="copies">
        {rows.map((row) => (
          <li key={`${row.site} ${row.url} ${row.state === "draining"}`} class="copy">
            <span class="copy-url" title={row.url}>{row.url}</span>
            <span class={`copy-state copy-${row.state}`} title={TITLES[row.state]}>
              <span class="rating-shape" aria-hidden="true">{SHAPES[row.state] ?? "○"}</span> {WORDS[row.state] ?? row.state}
            </span>
            <span class="copy-facts">{facts(row)}</span>
            <span class="copy-since">since <time dateTime={row.since}>{ago(row.since, nowMs)}</time></span>
          </li>
        ))}
      </ul>
    </div>
  );
}
