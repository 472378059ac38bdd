// What serves and what keeps the rows: two reads behind the machines page, again every few seconds while it is looked at.
import { signal, type Signal } from "@preact/signals";
import type { DatabaseRow, NodeRow } from "../wire";
import type { Read } from "./history";
import { listRows, ReadError } from "./read";

const REFRESH_MS = 5_000;

export const nodes = signal<Read<NodeRow>>({ rows: null, failure: null });
export const databases = signal<Read<DatabaseRow>>({ rows: null, failure: null });
/** Server time of the last answer. */
export const machinesAsOf = signal<string | null>(null);

async function fill<Row>(target: Signal<Read<Row>>, path: string, stop: AbortSignal): Promise<void> {
  try {
    const list = await listRows<Row>(path, {}, stop);
    target.value = { rows: list.rows, failure: null };
    machinesAsOf.value = list.asOf;
  } catch (error) {
    if (stop.aborted) return;
    target.value = { ...target.value, failure: error instanceof ReadError ? error.message : "the server did not answer" };
  }
}

/** Reads now, then `REFRESH_MS` after each answer, until the returned function is called. A hidden tab rests. */
export function followMachines(): () => void {
  const stop = new AbortController();
  let timer = 0;
  const refresh = async (): Promise<void> => {
    if (!document.hidden) {
      await Promise.all([fill(nodes, "/api/v1/nodes", stop.signal), fill(databases, "/api/v1/databases", stop.signal)]);
    }
    if (!stop.signal.aborted) timer = window.setTimeout(() => void refresh(), REFRESH_MS);
  };
  void refresh();
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}
