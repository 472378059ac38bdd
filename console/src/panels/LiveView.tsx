// The first screen: everything of the stream at once.
import { snapshot } from "../state/live";
import { LiveApp } from "./LiveApp";
import { LiveErrors } from "./LiveErrors";
import { LiveLatency } from "./LiveLatency";
import { LivePages } from "./LivePages";
import { LiveRequests } from "./LiveRequests";
import { LiveServer } from "./LiveServer";
import { LiveSources } from "./LiveSources";
import { LiveTiles } from "./LiveTiles";
import { LiveVitals } from "./LiveVitals";

export function LiveView() {
  const hasApp = (snapshot.value?.apps ?? 0) > 0;
  return (
    <main class="view view-live">
      <h1 class="hidden">Live</h1>
      <LiveTiles />
      <div class={`row ${hasApp ? "row-charts-app" : "row-charts-2"}`}>
        <LiveRequests />
        <LiveLatency />
        <LiveApp />
      </div>
      <LiveVitals />
      <div class="row row-lists">
        <LivePages />
        <LiveSources />
        <LiveErrors />
        <LiveServer />
      </div>
    </main>
  );
}
