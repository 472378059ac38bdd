// JavaScript errors of visitors' browsers, grouped; message text is shown as text, never as markup.
import { ago, count, plural } from "../format";
import type { ErrorRow } from "../wire";

interface ErrorListProps {
  caption: string;
  rows: ErrorRow[];
  nowMs: number;
}

export function ErrorList({ caption, rows, nowMs }: ErrorListProps) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <ol class="errors">
        {rows.map((row) => (
          <li key={row.fingerprint} class="error">
            <span class="error-count" title={plural(row.count, "occurrence")}>
              {count(row.count)}<span class="hidden"> occurrences</span>
            </span>
            <span class="error-text" title={row.message}>
              <span class="error-name">{row.name}</span> {row.message}
            </span>
            <span class="error-facts">
              {plural(row.visitors, "visitor")} · <time dateTime={row.last_seen}>{ago(row.last_seen, nowMs)}</time>
              {row.resolved === true && " · resolved"}
            </span>
          </li>
        ))}
      </ol>
    </div>
  );
}
