// What stands in for a read's rows: loading, failed, or (beside old rows) stale.
import type { ComponentChildren } from "preact";
import type { Read } from "../state/history";
import { Empty } from "./Empty";

interface ReadStateProps<Row> {
  read: Read<Row>;
  children: (rows: Row[]) => ComponentChildren;
}

export function ReadState<Row>({ read, children }: ReadStateProps<Row>) {
  if (read.rows === null && read.failure === null) return <p class="loading">Loading…</p>;
  if (read.rows === null) return <Empty title="This could not be read.">{read.failure}. Trying again within a minute.</Empty>;
  return (
    <>
      {read.failure !== null && <p class="failure" role="status">Not refreshed: {read.failure}.</p>}
      {children(read.rows)}
    </>
  );
}
