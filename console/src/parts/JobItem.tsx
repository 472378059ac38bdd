// One job: what it is, how often it was tried, when, why it failed, its data on demand, and what may be done with it.
// Texts are an app's, shown as text, never as markup.
import { useId, useRef, useState } from "preact/hooks";
import { ago, duration, MISSING } from "../format";
import type { JobRow } from "../wire";

/** Longer data is cut: a browser has to lay it out. */
const SHOWN_CHARS_MAX = 50_000;

interface JobItemProps {
  job: JobRow;
  nowMs: number;
  mayChange: boolean;
  onRetry: (job: JobRow) => void;
  onCancel: (job: JobRow) => void;
  onRemove: (job: JobRow) => void;
}

/** What says most about when, for how it stands. */
function when(job: JobRow, nowMs: number): { text: string; at: string } {
  const past = (word: string, at: string | null) => ({ text: at === null ? MISSING : `${word} ${ago(at, nowMs)}`, at: at ?? job.created_at });
  switch (job.status) {
    case "waiting": return job.run_at === job.created_at ? past("added", job.created_at) : past("could begin", job.run_at);
    case "delayed": return { text: `begins in ${duration((Date.parse(job.run_at) - nowMs) / 1000)}`, at: job.run_at };
    case "active": return past("began", job.started_at);
    case "completed": return past("done", job.finished_at);
    case "failed": return past("failed", job.finished_at);
    case "dead": return past("buried", job.finished_at);
  }
}

function pretty(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}

function Data({ job }: { job: JobRow }) {
  const parts: [string, unknown][] = [["Payload", job.payload], ["Progress", job.progress], ["Result", job.result]];
  return (
    <>
      {parts.filter(([name, value]) => name === "Payload" || value !== null).map(([name, value]) => (
        <div key={name} class="job-data">
          <h3>{name}</h3>
          <pre>{pretty(value)}</pre>
        </div>
      ))}
      <p class="job-note">Added <time dateTime={job.created_at}>{job.created_at}</time>. Addresses and secrets are left out.</p>
    </>
  );
}

interface ConfirmProps {
  id: string;
  onYes: () => void;
  onNo: () => void;
}

/** The same function each time: the focus is set once, when the node is there. */
const focus = (node: HTMLElement | null): void => node?.focus();

/** The way back has the focus, so that Enter twice removes nothing. */
function Confirm({ id, onYes, onNo }: ConfirmProps) {
  return (
    <span class="job-confirm" role="group" aria-label={`Remove job ${id} for good?`} onKeyDown={(event) => { if (event.key === "Escape") onNo(); }}>
      <span>Remove for good?</span>
      <button type="button" class="plain-button danger-button" onClick={onYes}>Remove</button>
      <button ref={focus} type="button" class="plain-button" onClick={onNo}>Keep</button>
    </span>
  );
}

function Actions({ job, onRetry, onCancel, onRemove }: JobItemProps) {
  const [asking, setAsking] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const of = <span class="hidden"> job {job.id}</span>;
  const keep = (): void => {
    setAsking(false);
    requestAnimationFrame(() => button.current?.focus());
  };
  if (asking) return <Confirm id={job.id} onYes={() => onRemove(job)} onNo={keep} />;
  const isOver = job.status === "failed" || job.status === "dead";
  return (
    <>
      {isOver && <button type="button" class="plain-button" onClick={() => onRetry(job)}>Retry{of}</button>}
      {!isOver && job.status !== "completed" && <button type="button" class="plain-button" onClick={() => onCancel(job)}>Cancel{of}</button>}
      {job.status !== "active" && <button ref={button} type="button" class="plain-button" onClick={() => setAsking(true)}>Remove…{of}</button>}
    </>
  );
}

export function JobItem(props: JobItemProps) {
  const { job, nowMs, mayChange } = props;
  const id = useId();
  const [open, setOpen] = useState(false);
  const time = when(job, nowMs);
  return (
    <li class="job">
      <span class="job-what"><span class="job-type">{job.type}</span> <span class="job-id" title={job.id}>{job.id}</span></span>
      <span class="job-facts">
        {[
          `${job.attempts} of ${job.attempts_max} attempts`,
          job.priority > 0 ? `priority ${job.priority}` : null,
          job.stalled > 0 ? `lost its worker ${job.stalled} ×` : null,
          typeof job.progress === "number" && job.status === "active" ? `progress ${job.progress}` : null,
        ].filter((fact) => fact !== null).join(" · ")} · <time dateTime={time.at} title={time.at}>{time.text}</time>
      </span>
      {job.error !== null && <span class="job-error">{job.error}</span>}
      <span class="job-actions">
        <button type="button" class="plain-button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
          {open ? "Hide data" : "Show data"}<span class="hidden"> of job {job.id}</span>
        </button>
        {mayChange && <Actions {...props} />}
      </span>
      <div id={id} class="job-more" hidden={!open}>{open && <Data job={job} />}</div>
    </li>
  );
}
