// Where the visitors of the last 30 minutes came from.
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { Ranking } from "../parts/Ranking";
import { snapshot } from "../state/live";

export function LiveSources() {
  const now = snapshot.value;
  return (
    <Panel name="sources" title="Top sources" note="last 30 min">
      {now !== null && (
        <Ranking
          caption="Top sources, last 30 minutes"
          heading="Source"
          rows={now.sources}
          empty={<Empty title="No visits yet.">Links to your site with <code>?utm_source=name</code> show up here by name.</Empty>}
        />
      )}
    </Panel>
  );
}
