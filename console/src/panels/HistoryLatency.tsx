// Time to answer per step over the chosen time, or how an app and we share it.
import { useState } from "preact/hooks";
import { Chart } from "../parts/Chart";
import { Empty } from "../parts/Empty";
import { type LatencyChoice, latencyLines, SPLIT_TITLE, SplitChoice, splitLines } from "../parts/SplitChoice";
import type { Look } from "../parts/plot";
import { dayClock, milliseconds, millisecondsTick } from "../format";
import { bounds, traffic } from "../state/history";
import { stepText, withGaps } from "../steps";
import type { Span } from "../state/view";
import type { Cell, TrafficRow } from "../wire";

const LOOK: Look = { scale: "log", times: "calendar", group: "history", tick: millisecondsTick };

export function HistoryLatency({ span }: { span: Span }) {
  const [choice, setChoice] = useState<LatencyChoice>("all");
  const { t, rows } = withGaps(traffic.value.rows ?? [], span.step_s);
  const lastTime = t.at(-1);
  const hasApp = rows.some((row) => row !== null && row.upstream_p50_ms !== null);
  const isSplit = hasApp && choice === "split";
  const column = (of: (row: TrafficRow) => Cell): Cell[] => rows.map((row) => (row === null ? null : of(row)));
  const split = {
    appP50: column((row) => row.upstream_p50_ms), appP95: column((row) => row.upstream_p95_ms),
    oursP50: column((row) => row.ours_p50_ms), oursP95: column((row) => row.ours_p95_ms),
  };
  const all = latencyLines(column((row) => row.p50_ms), column((row) => row.p95_ms), column((row) => row.p99_ms));
  const lines = isSplit ? splitLines(split) : all;
  return (
    <Chart
      name="history-latency"
      title={isSplit ? SPLIT_TITLE : "Latency"}
      note={stepText(span)}
      t={t}
      bounds={[bounds.value.from, bounds.value.to]}
      lines={lines}
      look={LOOK}
      latest={lines.map((line) => line.values.at(-1) ?? null)}
      latestOf={lastTime === undefined ? "" : dayClock(lastTime)}
      text={milliseconds}
      time={dayClock}
      choice={hasApp && <SplitChoice value={choice} onChange={setChoice} />}
      empty={traffic.value.rows !== null && rows.length === 0 && <Empty title="No traffic recorded in this time." />}
    />
  );
}
