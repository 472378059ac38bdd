// Time to answer over the last five minutes: what half, 95 and 99 of 100 requests stay below, or how an app and we share it.
import { useState } from "preact/hooks";
import { Chart } from "../parts/Chart";
import { Empty } from "../parts/Empty";
import { type LatencyChoice, latencyLines, SPLIT_TITLE, SplitChoice, splitLines } from "../parts/SplitChoice";
import type { Look } from "../parts/plot";
import { clockSeconds, milliseconds, millisecondsTick } from "../format";
import { snapshot, timeline } from "../state/live";
import { peak, WINDOW_S } from "../timeline";

const LOOK: Look = { scale: "log", times: "clock", group: "live", tick: millisecondsTick };

export function LiveLatency() {
  const [choice, setChoice] = useState<LatencyChoice>("all");
  const { t, p50, p95, p99, appP50 } = timeline.value;
  const end = t.at(-1) ?? Math.floor(Date.now() / 1000);
  const minute = snapshot.value?.latency_1m_ms;
  const split = snapshot.value?.split_1m_ms;
  const quiet = t.length > 0 && peak(p99) === null;
  const hasApp = (snapshot.value?.upstreams.length ?? 0) > 0 || peak(appP50) !== null;
  const isSplit = hasApp && choice === "split";
  return (
    <Chart
      name="latency"
      title={isSplit ? SPLIT_TITLE : "Latency"}
      note={isSplit ? "last 5 min" : "last 5 min, log scale"}
      t={t}
      bounds={[end - WINDOW_S + 1, end]}
      lines={isSplit ? splitLines(timeline.value) : latencyLines(p50, p95, p99)}
      look={LOOK}
      latest={isSplit
        ? [split?.upstream_p50 ?? null, split?.upstream_p95 ?? null, split?.ours_p50 ?? null, split?.ours_p95 ?? null]
        : [minute?.p50 ?? null, minute?.p95 ?? null, minute?.p99 ?? null]}
      latestOf="last minute"
      text={milliseconds}
      time={clockSeconds}
      choice={hasApp && <SplitChoice value={choice} onChange={setChoice} />}
      empty={quiet && <Empty title="No request to time yet.">Latency is measured on every answer.</Empty>}
    />
  );
}
