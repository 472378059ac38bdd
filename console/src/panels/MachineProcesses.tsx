// The processes that share the database; alone, what to do to be many.
import { Empty } from "../parts/Empty";
import { MachineList, MachineRow, type Tone } from "../parts/MachineRow";
import { Panel } from "../parts/Panel";
import { ReadState } from "../parts/ReadState";
import { ago, plural } from "../format";
import { databases, machinesAsOf, nodes } from "../state/machines";
import type { NodeRow } from "../wire";

/** Ids begin with their time: the ends tell processes apart. */
const ID_SHOWN = 12;

function stateOf(row: NodeRow): { tone: Tone; state: string } {
  if (row.ready === null) return { tone: "good", state: "Running" };
  if (!row.ready) return { tone: "bad", state: "Not ready" };
  return row.checks.every((check) => check.status === "pass") ? { tone: "good", state: "Ready" } : { tone: "warn", state: "Ready, degraded" };
}

function Process({ row, nowMs }: { row: NodeRow; nowMs: number }) {
  const bad = row.checks.filter((check) => check.status !== "pass");
  return (
    <MachineRow
      name={<>{row.id.slice(-ID_SHOWN)}{row.here && <span class="machine-here"> this one</span>}</>}
      title={row.id}
      {...stateOf(row)}
      facts={[
        `Mainstay ${row.version}`,
        row.region,
        `started ${ago(row.started, nowMs)}`,
        row.here ? plural(row.checks.length, "check") : `seen ${ago(row.seen, nowMs)}`,
      ]}
      reasons={bad.map((check) => `${check.name}${check.component == null ? "" : ` ${check.component}`}: ${check.output ?? check.status}`)}
    />
  );
}

/** Null until the databases were read: then it is known whether anything is shared, and whether anybody else can be. */
function NextStep({ alone }: { alone: boolean }) {
  const rows = databases.value.rows;
  if (!alone || rows === null) return null;
  const shared = rows.filter((row) => row.engine === "postgres");
  if (shared.length === 0) {
    return (
      <Empty title="One machine, on its own files.">
        To be many, start PostgreSQL, copy what is here with <code>mainstay migrate --to</code>, and give each Mainstay its address as <code>DATABASE_PRIMARY_URL</code>.
      </Empty>
    );
  }
  // Who serves stands in the database, and is read from its primary.
  return shared.some((row) => row.role === "primary" && row.healthy)
    ? <Empty title="One process so far.">Start Mainstay on another machine with the same <code>DATABASE_PRIMARY_URL</code>, and it stands here within seconds.</Empty>
    : <Empty title="Others are not known.">The database says who serves, and its primary does not answer this one.</Empty>;
}

export function MachineProcesses() {
  const nowMs = machinesAsOf.value === null ? Date.now() : Date.parse(machinesAsOf.value);
  return (
    <Panel name="processes" title="Processes" note="that serve and share the rows">
      <ReadState read={nodes.value}>
        {(rows) => (
          <>
            <MachineList label="Processes">
              {rows.map((row) => <Process key={row.id} row={row} nowMs={nowMs} />)}
            </MachineList>
            <NextStep alone={rows.length < 2} />
          </>
        )}
      </ReadState>
    </Panel>
  );
}
