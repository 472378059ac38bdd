// Time to answer per step over the chosen time.
import { Chart } from "../parts/Chart";
import { Empty } from "../parts/Empty";
import type { Look } from "../parts/plot";
import { dayClock, milliseconds, millisecondsTick } from "../format";
import { bounds, traffic } from "../state/history";
import { stepText, withGaps } from "../steps";
import type { Span } from "../state/view";

const LOOK: Look = { scale: "log", times: "calendar", group: "history", tick: millisecondsTick };

export function HistoryLatency({ span }: { span: Span }) {
  const { t, rows } = withGaps(traffic.value.rows ?? [], span.step_s);
  const last = rows.at(-1);
  const lastTime = t.at(-1);
  return (
    <Chart
      name="history-latency"
      title="Latency"
      note={stepText(span)}
      t={t}
      bounds={[bounds.value.from, bounds.value.to]}
      lines={[
        { label: "p50", values: rows.map((row) => row?.p50_ms ?? null), color: "--pct-50", kind: "line" },
        { label: "p95", values: rows.map((row) => row?.p95_ms ?? null), color: "--pct-95", kind: "line" },
        { label: "p99", values: rows.map((row) => row?.p99_ms ?? null), color: "--pct-99", kind: "line" },
      ]}
      look={LOOK}
      latest={[last?.p50_ms ?? null, last?.p95_ms ?? null, last?.p99_ms ?? null]}
      latestOf={lastTime === undefined ? "" : dayClock(lastTime)}
      text={milliseconds}
      time={dayClock}
      empty={traffic.value.rows !== null && rows.length === 0 && <Empty title="No traffic recorded in this time." />}
    />
  );
}
