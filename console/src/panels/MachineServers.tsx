// What keeps the rows and the shared state: files, database servers, Redis, as this process sees them.
import type { ComponentChildren } from "preact";
import { Empty } from "../parts/Empty";
import { MachineList, MachineRow, type Tone } from "../parts/MachineRow";
import { Panel } from "../parts/Panel";
import { ReadState } from "../parts/ReadState";
import { bytes, count, milliseconds } from "../format";
import { databases } from "../state/machines";
import type { DatabaseRow } from "../wire";

const ROLES: Record<string, string> = { primary: "Primary", replica: "Replica", stale: "Stale", unknown: "Not seen yet", file: "File" };

function stateOf(row: DatabaseRow): { tone: Tone; state: string } {
  const role = ROLES[row.role] ?? row.role;
  if (row.healthy) return { tone: "good", state: role };
  return { tone: row.role === "primary" || row.role === "file" ? "bad" : "warn", state: `${role}, not asked` };
}

/** What was known of a server that does not answer is old. */
function lag(row: DatabaseRow): string | null {
  if (row.role !== "replica" || row.lag_bytes === null || (!row.healthy && row.lag_bytes === 0)) return null;
  return row.lag_bytes === 0 ? "nothing behind" : `${bytes(row.lag_bytes)}, ${milliseconds(row.lag_ms)} behind`;
}

function pool(row: DatabaseRow): string | null {
  if (row.connections_active === null || row.connections_idle === null) return null;
  const open = row.connections_active + row.connections_idle;
  return open === 0 ? "no connection" : `${count(row.connections_active)} of ${count(open)} connections in use`;
}

function Server({ row }: { row: DatabaseRow }) {
  return (
    <MachineRow
      name={row.server}
      title={row.server}
      {...stateOf(row)}
      facts={[
        row.size_bytes === null ? null : bytes(row.size_bytes),
        row.wal_bytes === null ? null : `log ${bytes(row.wal_bytes)}`,
        row.region,
        row.role === "primary" ? row.time_series : null,
        lag(row),
        pool(row),
        row.in_flight === null || row.in_flight === 0 ? null : `${count(row.in_flight)} under way`,
      ]}
      reasons={row.reason === null ? [] : [row.reason]}
    />
  );
}

function Servers({ rows, label }: { rows: DatabaseRow[]; label: string }): ComponentChildren {
  return (
    <MachineList label={label}>
      {rows.map((row) => <Server key={`${row.engine} ${row.server}`} row={row} />)}
    </MachineList>
  );
}

function isRedis(row: DatabaseRow): boolean {
  return row.engine === "redis";
}

export function MachineDatabases() {
  const files = databases.value.rows?.some((row) => row.engine === "sqlite") ?? false;
  return (
    <Panel name="databases" title={files ? "Files" : "Database servers"} note={files ? "of this machine" : "as this process sees them"}>
      <ReadState read={databases.value}>
        {(rows) => <Servers rows={rows.filter((row) => !isRedis(row))} label={files ? "Files" : "Database servers"} />}
      </ReadState>
    </Panel>
  );
}

export function MachineRedis() {
  return (
    <Panel name="redis" title="Redis">
      <ReadState read={databases.value}>
        {(all) => {
          const rows = all.filter(isRedis);
          return rows.length > 0
            ? <Servers rows={rows} label="Redis servers" />
            : <Empty title="No Redis is used.">Nothing needs one: what processes share goes through the database.</Empty>;
        }}
      </ReadState>
    </Panel>
  );
}
