// Time to answer over the last five minutes: what half, 95 and 99 of 100 requests stay below.
import { Chart } from "../parts/Chart";
import { Empty } from "../parts/Empty";
import type { Look } from "../parts/plot";
import { clockSeconds, milliseconds, millisecondsTick } from "../format";
import { snapshot, timeline } from "../state/live";
import { peak, WINDOW_S } from "../timeline";

const LOOK: Look = { scale: "log", times: "clock", group: "live", tick: millisecondsTick };

export function LiveLatency() {
  const { t, p50, p95, p99 } = timeline.value;
  const end = t.at(-1) ?? Math.floor(Date.now() / 1000);
  const minute = snapshot.value?.latency_1m_ms;
  const quiet = t.length > 0 && peak(p99) === null;
  return (
    <Chart
      name="latency"
      title="Latency"
      note="last 5 min, log scale"
      t={t}
      bounds={[end - WINDOW_S + 1, end]}
      lines={[
        { label: "p50", values: p50, color: "--pct-50", kind: "line" },
        { label: "p95", values: p95, color: "--pct-95", kind: "line" },
        { label: "p99", values: p99, color: "--pct-99", kind: "line" },
      ]}
      look={LOOK}
      latest={[minute?.p50 ?? null, minute?.p95 ?? null, minute?.p99 ?? null]}
      latestOf="last minute"
      text={milliseconds}
      time={clockSeconds}
      empty={quiet && <Empty title="No request to time yet.">Latency is measured on every answer.</Empty>}
    />
  );
}
