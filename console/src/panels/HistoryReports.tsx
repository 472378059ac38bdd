// What browsers reported about the pages in the chosen time: policy violations first of all.
import type { ComponentChildren } from "preact";
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { ReadState } from "../parts/ReadState";
import { ReportList } from "../parts/ReportList";
import { asOf, reports } from "../state/history";

export function HistoryReports({ controls }: { controls: ComponentChildren }) {
  const nowMs = asOf.value === null ? Date.now() : Date.parse(asOf.value);
  return (
    <Panel name="reports" title="Reports" note="latest first" controls={controls}>
      <ReadState read={reports.value}>
        {(rows) => (rows.length === 0
          ? <Empty title="No reports in this time.">Browsers report here what the pages’ policy blocked, and what they will stop supporting.</Empty>
          : <ReportList caption="Reports of browsers" rows={rows} nowMs={nowMs} />)}
      </ReadState>
    </Panel>
  );
}
