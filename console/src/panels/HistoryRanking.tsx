// One ranking of the chosen time.
import type { ReadonlySignal } from "@preact/signals";
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { Ranking } from "../parts/Ranking";
import { ReadState } from "../parts/ReadState";
import type { Read } from "../state/history";
import type { RankRow } from "../wire";

interface HistoryRankingProps {
  name: string;
  title: string;
  heading: string;
  source: ReadonlySignal<Read<RankRow>>;
}

export function HistoryRanking({ name, title, heading, source }: HistoryRankingProps) {
  return (
    <Panel name={name} title={title}>
      <ReadState read={source.value}>
        {(rows) => <Ranking caption={title} heading={heading} rows={rows} empty={<Empty title="No visits in this time." />} />}
      </ReadState>
    </Panel>
  );
}
