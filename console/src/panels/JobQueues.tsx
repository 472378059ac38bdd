// The queues: how many jobs of each stand how, and whether they may begin. Choosing one shows its jobs.
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { ReadState } from "../parts/ReadState";
import { count, duration } from "../format";
import { mayChange } from "../state/change";
import { pauseOrResume, queues, shown } from "../state/jobs";
import { queue } from "../state/view";
import type { JobStatus, QueueRow } from "../wire";

const NUMBERS: readonly JobStatus[] = ["waiting", "active", "delayed", "completed", "failed", "dead"];

function tone(row: QueueRow, status: JobStatus): string {
  return row[status] > 0 && (status === "failed" || status === "dead") ? "state-bad" : "";
}

function QueueCard({ row }: { row: QueueRow }) {
  const isShown = shown.value?.queue === row.queue;
  return (
    <li class="queue" data-shown={isShown}>
      <button type="button" class="queue-name" aria-current={isShown ? "true" : undefined} onClick={() => { queue.value = row.queue; }}>
        {row.queue}
      </button>
      <span class="queue-state">
        {row.paused
          ? <span class="state-warn"><span class="rating-shape" aria-hidden="true">▲</span> Paused</span>
          : row.oldest_ms !== null && <span class="state-plain">oldest {duration(row.oldest_ms / 1000)}</span>}
        {mayChange.value && (
          <button type="button" class="plain-button" onClick={() => void pauseOrResume(row)}>
            {row.paused ? "Resume" : "Pause"}<span class="hidden"> {row.queue}</span>
          </button>
        )}
      </span>
      <dl class="queue-numbers">
        {NUMBERS.map((status) => (
          <div key={status} class={`queue-number ${tone(row, status)}`}>
            <dt>{status}</dt>
            <dd>{count(row[status])}</dd>
          </div>
        ))}
      </dl>
    </li>
  );
}

export function JobQueues() {
  return (
    <Panel name="queues" title="Queues">
      <ReadState read={queues.value}>
        {(rows) => rows.length === 0
          ? <Empty title="There is no queue.">The settings name them: <code>[[jobs.queue]]</code> with a <code>name</code>. Then an app adds jobs by <code>POST /_mainstay/jobs/NAME</code>.</Empty>
          : (
            <div class="scroll" tabIndex={0} role="region" aria-label="Queues">
              <ul class="queues">{rows.map((row) => <QueueCard key={row.queue} row={row} />)}</ul>
            </div>
          )}
      </ReadState>
    </Panel>
  );
}
