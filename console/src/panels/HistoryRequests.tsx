// Requests and errors per step over the chosen time.
import { Chart } from "../parts/Chart";
import { Empty } from "../parts/Empty";
import type { Look } from "../parts/plot";
import { count, dayClock } from "../format";
import { bounds, traffic } from "../state/history";
import { stepText, withGaps } from "../steps";
import type { Span } from "../state/view";

const LOOK: Look = { scale: "linear", times: "calendar", group: "history", tick: count };

export function HistoryRequests({ span }: { span: Span }) {
  const { t, rows } = withGaps(traffic.value.rows ?? [], span.step_s);
  const last = rows.at(-1);
  const lastTime = t.at(-1);
  return (
    <Chart
      name="history-requests"
      title="Requests"
      note={stepText(span)}
      t={t}
      bounds={[bounds.value.from, bounds.value.to]}
      lines={[
        { label: "requests", values: rows.map((row) => row?.requests ?? null), color: "--line-1", wash: "--line-1-wash", kind: "line" },
        { label: "errors", values: rows.map((row) => row?.errors ?? null), color: "--line-2", kind: "bars" },
      ]}
      look={LOOK}
      latest={[last?.requests ?? null, last?.errors ?? null]}
      latestOf={lastTime === undefined ? "" : dayClock(lastTime)}
      text={count}
      time={dayClock}
      empty={traffic.value.rows !== null && rows.length === 0 && <Empty title="No traffic recorded in this time." />}
    />
  );
}
