// The headline numbers of all queues together: what waits, what runs, what is for later, and what came to nothing.
import { Tile } from "../parts/Tile";
import { count, duration, MISSING, plural } from "../format";
import { queues } from "../state/jobs";
import type { JobStatus, QueueRow } from "../wire";

function sum(rows: QueueRow[], status: JobStatus): number {
  return rows.reduce((total, row) => total + row[status], 0);
}

function oldest(rows: QueueRow[]): string {
  const longest = rows.reduce((most, row) => Math.max(most, row.oldest_ms ?? -1), -1);
  return longest < 0 ? "none waits" : `the oldest for ${duration(longest / 1000)}`;
}

export function JobTiles() {
  const rows = queues.value.rows;
  const value = (status: JobStatus): string => (rows === null ? MISSING : count(sum(rows, status)));
  const note = (text: (rows: QueueRow[]) => string): string => (rows === null ? "not read yet" : text(rows));
  const failed = rows === null ? 0 : sum(rows, "failed");
  const dead = rows === null ? 0 : sum(rows, "dead");
  return (
    <div class="tiles">
      <Tile name="waiting" label="Waiting" value={value("waiting")} note={note(oldest)} />
      <Tile
        name="active"
        label="Active"
        value={value("active")}
        note={note((all) => {
          const paused = all.filter((row) => row.paused).length;
          if (all.length === 0) return "there is no queue";
          return paused === 0 ? `in ${plural(all.length, "queue")}` : `${count(paused)} of ${plural(all.length, "queue")} paused`;
        })}
      />
      <Tile name="delayed" label="Delayed" value={value("delayed")} note={note(() => "may begin later")} />
      <Tile
        name="unfinished"
        label="Failed or dead"
        value={rows === null ? MISSING : count(failed + dead)}
        note={note(() => (failed + dead === 0 ? "none" : `${count(failed)} failed, ${count(dead)} dead`))}
        tone={failed + dead > 0 ? "bad" : "plain"}
      />
    </div>
  );
}
