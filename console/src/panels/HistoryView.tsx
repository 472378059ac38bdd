// A day, a week or a month, read from the API and refreshed once a minute.
import { useEffect } from "preact/hooks";
import { followSpan, sources } from "../state/history";
import { site, type Span } from "../state/view";
import { HistoryFaults } from "./HistoryFaults";
import { HistoryLatency } from "./HistoryLatency";
import { HistoryPages } from "./HistoryPages";
import { HistoryPlaces } from "./HistoryPlaces";
import { HistoryRanking } from "./HistoryRanking";
import { HistoryRequests } from "./HistoryRequests";
import { HistoryTiles } from "./HistoryTiles";
import { HistoryVisitors } from "./HistoryVisitors";
import { HistoryVitals } from "./HistoryVitals";

export function HistoryView({ span }: { span: Span }) {
  const name = site.value;
  useEffect(() => followSpan(name, span), [name, span]);
  return (
    <main class="view view-history">
      <h1 class="hidden">{span.title}</h1>
      <HistoryTiles />
      <div class="row row-charts-3">
        <HistoryVisitors span={span} />
        <HistoryRequests span={span} />
        <HistoryLatency span={span} />
      </div>
      <HistoryVitals />
      <div class="row row-lists">
        <HistoryPages />
        <HistoryRanking name="sources" title="Top sources" heading="Source" source={sources} />
        <HistoryFaults />
        <HistoryPlaces />
      </div>
    </main>
  );
}
