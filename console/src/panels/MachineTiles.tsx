// The headline numbers of the machines: how many serve, how many servers are asked, how far they are behind, how busy the pool is.
import { Tile } from "../parts/Tile";
import { bytes, count, MISSING, milliseconds } from "../format";
import { databases, nodes } from "../state/machines";
import type { Cell, DatabaseRow } from "../wire";

function sum(rows: DatabaseRow[], of: (row: DatabaseRow) => Cell): number {
  return rows.reduce((total, row) => total + (of(row) ?? 0), 0);
}

function ServerTile({ rows }: { rows: DatabaseRow[] }) {
  const well = rows.filter((row) => row.healthy).length;
  const tone = well === rows.length ? "plain" : well === 0 ? "bad" : "warn";
  const isFiles = rows.every((row) => row.engine === "sqlite");
  const note = well === rows.length ? "all well" : `${count(rows.length - well)} away or behind`;
  return <Tile name="servers" label={isFiles ? "Database files" : "Database servers"} value={`${count(well)} of ${count(rows.length)}`} note={note} tone={tone} />;
}

/** Files are never behind: their size is what grows. */
function LagTile({ rows }: { rows: DatabaseRow[] }) {
  if (rows.some((row) => row.engine === "sqlite")) {
    return <Tile name="size" label="Size" value={bytes(sum(rows, (row) => row.size_bytes))} note={`and ${bytes(sum(rows, (row) => row.wal_bytes))} of logs`} />;
  }
  const replicas = rows.filter((row) => row.role === "replica" && row.healthy);
  const worst = replicas.reduce<DatabaseRow | null>((most, row) => ((row.lag_bytes ?? 0) > (most?.lag_bytes ?? -1) ? row : most), null);
  if (worst === null) return <Tile name="lag" label="Replicas behind by" value={MISSING} note="no replica is asked" />;
  return <Tile name="lag" label="Replicas behind by" value={bytes(worst.lag_bytes)} note={worst.lag_bytes === 0 ? "none is behind" : `at most, ${milliseconds(worst.lag_ms)}`} />;
}

export function MachineTiles() {
  const rows = databases.value.rows?.filter((row) => row.engine !== "redis") ?? null;
  const processes = nodes.value.rows;
  const regions = new Set(processes?.map((row) => row.region).filter((region) => region !== null));
  return (
    <div class="tiles">
      <Tile name="processes" label="Processes" value={count(processes?.length ?? null)} note={regions.size > 1 ? `in ${count(regions.size)} regions` : "serve this installation"} />
      {rows === null ? <Tile name="servers" label="Database servers" value={MISSING} note="not read yet" /> : <ServerTile rows={rows} />}
      {rows === null ? <Tile name="lag" label="Replicas behind by" value={MISSING} note="not read yet" /> : <LagTile rows={rows} />}
      <Tile
        name="pool"
        label="Connections"
        value={rows === null ? MISSING : count(sum(rows, (row) => row.connections_active) + sum(rows, (row) => row.connections_idle))}
        note={rows === null ? "not read yet" : `${count(sum(rows, (row) => row.connections_active))} in use by this process`}
      />
    </div>
  );
}
