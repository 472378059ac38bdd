// The five headline numbers of a day, a week or a month.
import { Tile } from "../parts/Tile";
import { count, duration, MISSING, percent, plural } from "../format";
import { days, traffic } from "../state/history";
import type { Cell } from "../wire";

function total<Row>(rows: Row[] | null, of: (row: Row) => number): Cell {
  return rows === null ? null : rows.reduce((sum, row) => sum + of(row), 0);
}

function VisitorTiles() {
  const rows = days.value.rows;
  const pageviews = total(rows, (row) => row.pageviews);
  const engaged = total(rows, (row) => row.engaged_ms);
  const mean = pageviews === null || engaged === null || pageviews === 0 ? null : engaged / pageviews / 1000;
  const bounces = total(rows, (row) => row.bounces);
  return (
    <>
      <Tile name="visitors" label="Visitors" value={count(total(rows, (row) => row.visitors))} note="each counted once a day" />
      <Tile
        name="pageviews"
        label="Page views"
        value={count(pageviews)}
        note={`${mean === null ? MISSING : duration(mean)} engaged a view · ${bounces === null ? MISSING : plural(bounces, "bounce")}`}
      />
    </>
  );
}

function TrafficTiles() {
  const rows = traffic.value.rows;
  const requests = total(rows, (row) => row.requests);
  const errors = total(rows, (row) => row.errors);
  const refused = total(rows, (row) => row.refused);
  const share = requests === null || errors === null || requests === 0 ? null : errors / requests;
  const tone = share === null || share === 0 ? "plain" : share < 0.01 ? "warn" : "bad";
  return (
    <>
      <Tile name="requests" label="Requests" value={count(requests)} note="answered in this time" />
      <Tile name="errors" label="Error rate" value={percent(share)} note={errors === null ? MISSING : plural(errors, "server error")} tone={tone} />
      <Tile name="refused" label="Refused" value={count(refused)} note="before they reached a site" />
    </>
  );
}

export function HistoryTiles() {
  return (
    <div class="tiles">
      <VisitorTiles />
      <TrafficTiles />
    </div>
  );
}
