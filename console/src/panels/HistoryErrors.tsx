// JavaScript errors of the chosen time, those that most visitors met first.
import type { ComponentChildren } from "preact";
import { Empty } from "../parts/Empty";
import { ErrorList } from "../parts/ErrorList";
import { Panel } from "../parts/Panel";
import { ReadState } from "../parts/ReadState";
import { rankErrors } from "../order";
import { asOf, errors, RANK_ROWS } from "../state/history";

export function HistoryErrors({ controls }: { controls: ComponentChildren }) {
  const nowMs = asOf.value === null ? Date.now() : Date.parse(asOf.value);
  return (
    <Panel name="js-errors" title="JavaScript errors" note="most visitors first" controls={controls}>
      <ReadState read={errors.value}>
        {(rows) => (rows.length === 0
          ? <Empty title="No JavaScript errors in this time.">Uncaught errors and rejected promises are grouped here.</Empty>
          : <ErrorList caption="JavaScript errors" rows={rankErrors(rows).slice(0, RANK_ROWS)} nowMs={nowMs} />)}
      </ReadState>
    </Panel>
  );
}
