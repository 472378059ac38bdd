// The app behind the site: where its time goes, and how each copy of it is. There while some site has an app or had one
// whose requests are not over.
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { SplitBars } from "../parts/SplitBars";
import { UpstreamList } from "../parts/UpstreamList";
import { snapshot } from "../state/live";
import type { UpstreamRow } from "../wire";

/** "2 of 3 copies in use, 1 draining": those that drain are the app's no more. */
function summary(rows: UpstreamRow[]): string {
  const named = rows.filter((row) => row.state !== "draining");
  const asked = named.filter((row) => row.state === "healthy" || row.state === "starting").length;
  const use = `${asked} of ${named.length} ${named.length === 1 ? "copy" : "copies"} in use`;
  return named.length === rows.length ? use : `${use}, ${rows.length - named.length} draining`;
}

export function LiveApp() {
  const now = snapshot.value;
  if (now === null || (now.apps === 0 && now.upstreams.length === 0)) return null;
  if (now.upstreams.length === 0) {
    return (
      <Panel name="app" title="App">
        <Empty title="This site is a folder.">
          To put an app behind a site: <code>mainstay serve --upstream http://127.0.0.1:3000</code>, or <code>upstreams</code> in its <code>[[site]]</code>.
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel name="app" title="App" note={summary(now.upstreams)}>
      <h3 class="panel-part">Where the time goes <span class="panel-note">last minute, to the answer’s head</span></h3>
      <SplitBars split={now.split_1m_ms} />
      <UpstreamList rows={now.upstreams} nowMs={Date.parse(now.t)} />
    </Panel>
  );
}
