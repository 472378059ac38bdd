// JavaScript errors of the chosen time.
import { Empty } from "../parts/Empty";
import { ErrorList } from "../parts/ErrorList";
import { Panel } from "../parts/Panel";
import { ReadState } from "../parts/ReadState";
import { asOf, errors } from "../state/history";

export function HistoryErrors() {
  const nowMs = asOf.value === null ? Date.now() : Date.parse(asOf.value);
  return (
    <Panel name="js-errors" title="JavaScript errors">
      <ReadState read={errors.value}>
        {(rows) => (rows.length === 0
          ? <Empty title="No JavaScript errors in this time.">Uncaught errors and rejected promises are grouped here.</Empty>
          : <ErrorList caption="JavaScript errors" rows={rows} nowMs={nowMs} />)}
      </ReadState>
    </Panel>
  );
}
