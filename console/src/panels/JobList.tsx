// The jobs of the chosen queue that stand as chosen, page by page.
import { useRef } from "preact/hooks";
import { Empty } from "../parts/Empty";
import { JobItem } from "../parts/JobItem";
import { Panel } from "../parts/Panel";
import { ReadState } from "../parts/ReadState";
import { Segments } from "../parts/Segments";
import { count } from "../format";
import { mayChange } from "../state/change";
import { cancel, hasNext, jobs, jobsAsOf, outcome, pageNumber, queues, remove, retry, shown, turnBack, turnOn } from "../state/jobs";
import { queue, status, STATUSES } from "../state/view";
import type { JobRow, JobStatus, QueueRow } from "../wire";

const MEANINGS: Partial<Record<JobStatus, string>> = {
  failed: "Its attempts would be used up.",
  dead: "It would be cancelled, given up by its handler, or of a type that nobody knows.",
};

function StatusChoice({ row }: { row: QueueRow }) {
  const options = STATUSES.map((value) => ({ value, label: row[value] === 0 ? value : `${value} ${count(row[value])}` }));
  return <Segments legend="Jobs that are" options={options} value={status.value} onChange={(value) => { status.value = value; }} />;
}

function Outcome() {
  const now = outcome.value;
  return (
    <>
      {!mayChange.value && <p class="failure" role="status">You may look here, and change nothing: that takes an owner.</p>}
      <p class={now?.failed === true ? "outcome state-bad" : "outcome"} role={now?.failed === true ? "alert" : "status"}>{now?.text ?? ""}</p>
    </>
  );
}

function Pages() {
  const number = pageNumber.value;
  if (number === 1 && !hasNext.value) return null;
  return (
    <nav class="turn" aria-label="Pages of jobs">
      <button type="button" class="plain-button" disabled={number === 1} onClick={turnBack}>Previous</button>
      <span>Page {count(number)}</span>
      <button type="button" class="plain-button" disabled={!hasNext.value} onClick={turnOn}>Next</button>
    </nav>
  );
}

function Rows({ rows }: { rows: JobRow[] }) {
  const region = useRef<HTMLDivElement>(null);
  const nowMs = jobsAsOf.value === null ? Date.now() : Date.parse(jobsAsOf.value);
  // What was pressed leaves with its job; whoever uses the keyboard stays in the list.
  const then = (act: (job: JobRow) => Promise<void>) => (job: JobRow): void => {
    region.current?.focus({ preventScroll: true });
    void act(job);
  };
  return (
    <div class="scroll" ref={region} tabIndex={0} role="region" aria-label="Jobs">
      {rows.length === 0
        ? <Empty title={pageNumber.value > 1 ? "No further job." : `No job is ${status.value}.`}>{MEANINGS[status.value]}</Empty>
        : (
          <ul class="jobs">
            {rows.map((job) => (
              <JobItem key={job.id} job={job} nowMs={nowMs} mayChange={mayChange.value} onRetry={then(retry)} onCancel={then(cancel)} onRemove={then(remove)} />
            ))}
          </ul>
        )}
    </div>
  );
}

function NoQueue() {
  return queues.value.rows === null
    ? <ReadState read={{ rows: null, failure: queues.value.failure }}>{() => null}</ReadState>
    : <Empty title={`Queue ${queue.value} not found`}>Choose one of those that there are.</Empty>;
}

export function JobList() {
  const row = shown.value;
  return (
    <Panel name="jobs" title="Jobs" {...(row === null ? {} : { note: `of ${row.queue}`, controls: <StatusChoice row={row} /> })}>
      <Outcome />
      {row === null
        ? <NoQueue />
        : <ReadState read={jobs.value}>{(rows) => <><Rows rows={rows} /><Pages /></>}</ReadState>}
    </Panel>
  );
}
