// What serves and what keeps the rows: two reads behind the machines page, again every few seconds while it is looked at.
import { signal, type Signal } from "@preact/signals";
import type { DatabaseRow, NodeRow } from "../wire";
import type { Read } from "./history";
import { Poll } from "./poll";
import { failureOf, listRows } from "./read";

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
    target.value = { ...target.value, failure: failureOf(error) };
  }
}

const poll = new Poll((stop) =>
  Promise.all([fill(nodes, "/api/v1/nodes", stop), fill(databases, "/api/v1/databases", stop)]));

/** Reads both again and again until the returned function is called. */
export function followMachines(): () => void {
  poll.begin();
  return () => poll.end();
}
