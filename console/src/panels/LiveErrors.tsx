// The JavaScript errors of the last 24 hours that most visitors met, as the server ranks them.
import { Empty } from "../parts/Empty";
import { ErrorList } from "../parts/ErrorList";
import { Panel } from "../parts/Panel";
import { snapshot } from "../state/live";

export function LiveErrors() {
  const now = snapshot.value;
  return (
    <Panel name="js-errors" title="JavaScript errors" note="last 24 h, most visitors first">
      {now !== null && now.js_errors.length === 0 && (
        <Empty title="No JavaScript errors.">Uncaught errors and rejected promises in visitors’ browsers are grouped here.</Empty>
      )}
      {now !== null && now.js_errors.length > 0 && (
        <ErrorList caption="JavaScript errors of the last 24 hours, most visitors first" rows={now.js_errors} nowMs={Date.parse(now.t)} />
      )}
    </Panel>
  );
}
