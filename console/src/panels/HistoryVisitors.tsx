// Visitors and page views over the chosen time.
import { Chart } from "../parts/Chart";
import { Empty } from "../parts/Empty";
import type { Look } from "../parts/plot";
import { SiteLink } from "../parts/SiteLink";
import { count, dayClock } from "../format";
import { bounds, visitors } from "../state/history";
import { stepText, withGaps } from "../steps";
import type { Span } from "../state/view";

const LOOK: Look = { scale: "linear", times: "calendar", group: "history", tick: count };

export function HistoryVisitors({ span }: { span: Span }) {
  const { t, rows } = withGaps(visitors.value.rows ?? [], span.step_s);
  const last = rows.at(-1);
  const lastTime = t.at(-1);
  const none = visitors.value.rows !== null && rows.every((row) => (row?.pageviews ?? 0) === 0);
  return (
    <Chart
      name="history-visitors"
      title="Visitors"
      note={stepText(span)}
      t={t}
      bounds={[bounds.value.from, bounds.value.to]}
      lines={[
        { label: "page views", values: rows.map((row) => row?.pageviews ?? null), color: "--line-1", wash: "--line-1-wash", kind: "line" },
        { label: "visitors", values: rows.map((row) => row?.visitors ?? null), color: "--pct-50", kind: "line" },
      ]}
      look={LOOK}
      latest={[last?.pageviews ?? null, last?.visitors ?? null]}
      latestOf={lastTime === undefined ? "" : dayClock(lastTime)}
      text={count}
      time={dayClock}
      empty={none && <Empty title="No visits in this time.">Open your site at <SiteLink /> and watch this page.</Empty>}
    />
  );
}
