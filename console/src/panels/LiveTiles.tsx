// The five headline numbers of the live view.
import { Bars } from "../parts/Bars";
import { Tile } from "../parts/Tile";
import { count, MISSING, percent, plural, rate } from "../format";
import { snapshot, timeline } from "../state/live";
import { errorShare, meanLast, peak, sumLast } from "../timeline";
import type { Snapshot } from "../wire";

const MINUTE_S = 60;

function VisitorsTile({ now }: { now: Snapshot | null }) {
  return <Tile name="visitors" label="Visitors now" value={count(now?.visitors_now)} note="seen in the last 5 min" />;
}

function PageviewsTile({ now }: { now: Snapshot | null }) {
  const minutes = now?.pageviews_30m ?? [];
  const total = now === null ? null : minutes.reduce((sum, value) => sum + value, 0);
  const caption = (index: number): string => {
    const age = minutes.length - 1 - index;
    return age === 0 ? "this minute" : `${age} min ago`;
  };
  return (
    <Tile name="pageviews" label="Page views" value={count(total)} note="last 30 min, by minute">
      {minutes.length > 0 && <Bars values={minutes} label="Page views by minute" caption={caption} />}
    </Tile>
  );
}

function RequestsTile({ now }: { now: Snapshot | null }) {
  const { requests } = timeline.value;
  const note = `1 min mean ${rate(meanLast(requests, MINUTE_S))} · 5 min peak ${rate(peak(requests))}`;
  return <Tile name="requests" label="Requests" value={rate(now?.rate.requests)} unit="/s" note={note} />;
}

function ErrorsTile() {
  const share = errorShare(timeline.value, MINUTE_S);
  const errors = sumLast(timeline.value.errors, MINUTE_S);
  const none = sumLast(timeline.value.requests, MINUTE_S) === 0;
  const note = none ? "no request, last minute" : `${errors === null ? MISSING : plural(errors, "server error")}, last minute`;
  const tone = share === null || share === 0 ? "plain" : share < 0.01 ? "warn" : "bad";
  return <Tile name="errors" label="Error rate" value={percent(share)} note={note} tone={tone} />;
}

function RefusedTile({ now }: { now: Snapshot | null }) {
  const total = now === null ? null : Object.values(now.refused_total).reduce((sum, value) => sum + value, 0);
  const whose = (now?.sites.length ?? 0) > 1 ? ", all sites" : "";
  return <Tile name="refused" label="Refused" value={rate(now?.rate.refused)} unit="/s" note={`${count(total)} since start${whose}`} />;
}

export function LiveTiles() {
  const now = snapshot.value;
  return (
    <div class="tiles">
      <VisitorsTile now={now} />
      <PageviewsTile now={now} />
      <RequestsTile now={now} />
      <ErrorsTile />
      <RefusedTile now={now} />
    </div>
  );
}
