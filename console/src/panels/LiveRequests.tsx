// Requests and errors per second over the last five minutes.
import { Chart } from "../parts/Chart";
import { Empty } from "../parts/Empty";
import { SiteLink } from "../parts/SiteLink";
import type { Look } from "../parts/plot";
import { clockSeconds, count, rate } from "../format";
import { snapshot, timeline } from "../state/live";
import { sumLast, WINDOW_S } from "../timeline";

const LOOK: Look = { scale: "linear", times: "clock", group: "live", tick: count };

export function LiveRequests() {
  const { t, requests, errors } = timeline.value;
  const end = t.at(-1) ?? Math.floor(Date.now() / 1000);
  const quiet = t.length > 0 && (sumLast(requests, WINDOW_S) ?? 0) === 0;
  return (
    <Chart
      name="requests"
      title="Requests per second"
      note="last 5 min"
      t={t}
      bounds={[end - WINDOW_S + 1, end]}
      lines={[
        { label: "requests", values: requests, color: "--line-1", wash: "--line-1-wash", kind: "line" },
        { label: "errors", values: errors, color: "--line-2", kind: "bars" },
      ]}
      look={LOOK}
      latest={[snapshot.value?.rate.requests ?? null, snapshot.value?.rate.errors ?? null]}
      latestOf="now"
      text={rate}
      time={clockSeconds}
      empty={quiet && <Empty title="No request in the last 5 minutes.">Open <SiteLink /> and watch this chart.</Empty>}
    />
  );
}
