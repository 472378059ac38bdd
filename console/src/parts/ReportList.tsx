// What browsers reported, alike reports as one row; texts are claims of strangers, shown as text, never as markup.
import { ago, count, plural } from "../format";
import type { ReportRow } from "../wire";

interface ReportListProps {
  caption: string;
  rows: ReportRow[];
  nowMs: number;
}

/** What was blocked or said, in the words the type has for it. */
function subject(row: ReportRow): string {
  return [row.blocked, row.message].filter((text) => text !== "" && text !== row.name).join(" · ");
}

/** `/app.js:12`, or the page when no script is named. */
function place(row: ReportRow): string {
  const file = row.source === "" ? row.document : row.source;
  return row.line === null || file === "" ? file : `${file}:${row.line}`;
}

function facts(row: ReportRow): string {
  const kind = row.disposition === "report" ? `${row.type}, not enforced` : row.type;
  return [kind, place(row), row.browser ?? ""].filter((text) => text !== "").join(" · ");
}

export function ReportList({ caption, rows, nowMs }: ReportListProps) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <ol class="errors">
        {rows.map((row) => (
          <li key={row.fingerprint} class="error report">
            <span class="error-count" title={plural(row.count, "report")}>
              {count(row.count)}<span class="hidden"> reports</span>
            </span>
            <span class="error-text" title={subject(row)}>
              <span class="error-name">{row.name === "" ? row.type : row.name}</span> {subject(row)}
            </span>
            <span class="error-facts">
              {facts(row)} · <time dateTime={row.last_seen}>{ago(row.last_seen, nowMs)}</time>
            </span>
          </li>
        ))}
      </ol>
    </div>
  );
}
