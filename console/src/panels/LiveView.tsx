// The first screen: everything of the stream at once.
import { LiveErrors } from "./LiveErrors";
import { LiveLatency } from "./LiveLatency";
import { LivePages } from "./LivePages";
import { LiveRequests } from "./LiveRequests";
import { LiveServer } from "./LiveServer";
import { LiveSources } from "./LiveSources";
import { LiveTiles } from "./LiveTiles";
import { LiveVitals } from "./LiveVitals";

export function LiveView() {
  return (
    <main class="view view-live">
      <h1 class="hidden">Live</h1>
      <LiveTiles />
      <div class="row row-charts-2">
        <LiveRequests />
        <LiveLatency />
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
