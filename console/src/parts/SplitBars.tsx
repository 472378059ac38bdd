// How an app and Mainstay share the time to an answer's head, as two bars with their numbers in words.
import { milliseconds } from "../format";
import type { Split } from "../wire";

interface ShareProps {
  label: string;
  title: string;
  app: number;
  ours: number;
}

function Share({ label, title, app, ours }: ShareProps) {
  const share = app + ours === 0 ? 0 : (app / (app + ours)) * 100;
  return (
    <div class="split-row">
      <dt title={title}>{label}</dt>
      <dd>
        <span class="split-bar" aria-hidden="true">
          <span class="split-app" style={{ width: `${share}%` }} /><span class="split-ours" style={{ width: `${100 - share}%` }} />
        </span>
        <span class="split-part"><span class="swatch swatch--pct-95" aria-hidden="true" /><span class="legend-label">app</span> {milliseconds(app)}</span>
        <span class="split-part"><span class="swatch swatch--pct-50" aria-hidden="true" /><span class="legend-label">ours</span> {milliseconds(ours)}</span>
      </dd>
    </div>
  );
}

export function SplitBars({ split }: { split: Split | null }) {
  if (split === null) return <p class="split-none">The app answered nothing in the last minute.</p>;
  return (
    <dl class="split">
      <Share label="p50" title="Half of the answers stay below" app={split.upstream_p50} ours={split.ours_p50} />
      <Share label="p95" title="95 of 100 answers stay below" app={split.upstream_p95} ours={split.ours_p95} />
    </dl>
  );
}
