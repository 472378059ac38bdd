// The pages of the last 30 minutes.
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { Ranking } from "../parts/Ranking";
import { SiteLink } from "../parts/SiteLink";
import { snapshot } from "../state/live";

export function LivePages() {
  const now = snapshot.value;
  return (
    <Panel name="pages" title="Top pages" note="last 30 min">
      {now !== null && (
        <Ranking
          caption="Top pages, last 30 minutes"
          heading="Page"
          rows={now.pages}
          empty={<Empty title="No visits yet.">Open your site at <SiteLink /> and watch this page.</Empty>}
        />
      )}
    </Panel>
  );
}
