// The JavaScript errors seen last, with what the last 24 hours say of each.
import { Empty } from "../parts/Empty";
import { ErrorList } from "../parts/ErrorList";
import { Panel } from "../parts/Panel";
import { snapshot } from "../state/live";

export function LiveErrors() {
  const now = snapshot.value;
  return (
    <Panel name="js-errors" title="JavaScript errors" note="last 24 h, latest first">
      {now !== null && now.js_errors.length === 0 && (
        <Empty title="No JavaScript errors.">Uncaught errors and rejected promises in visitors’ browsers are grouped here.</Empty>
      )}
      {now !== null && now.js_errors.length > 0 && (
        <ErrorList caption="JavaScript errors of the last 24 hours, latest first" rows={now.js_errors} nowMs={Date.parse(now.t)} />
      )}
    </Panel>
  );
}
