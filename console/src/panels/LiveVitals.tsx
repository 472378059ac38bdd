// The five web vitals of real visits, whole site, last 24 hours.
import { Panel } from "../parts/Panel";
import { NO_VITALS, VitalCards } from "../parts/VitalCard";
import { snapshot } from "../state/live";

export function LiveVitals() {
  const now = snapshot.value;
  const rows = now?.vitals ?? [];
  const none = now !== null && rows.every((row) => row.samples === 0);
  return (
    <Panel name="vitals" title="Web vitals" note={none ? NO_VITALS : "75th percentile of real visits, last 24 h"}>
      <VitalCards rows={rows} />
    </Panel>
  );
}
