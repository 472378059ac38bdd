// The five web vitals of real visits, whole site, last 24 hours.
import { Panel } from "../parts/Panel";
import { ratingOf, VITALS } from "../parts/Rating";
import { VitalCard, type VitalFacts } from "../parts/VitalCard";
import { vital } from "../format";
import { snapshot } from "../state/live";
import type { VitalRow } from "../wire";

function factsOf(row: VitalRow | undefined): VitalFacts | null {
  if (row === undefined || row.samples === 0) return null;
  return { ...row, value: vital(row.name, row.p75), rating: ratingOf(row.rating) };
}

export function LiveVitals() {
  const now = snapshot.value;
  const rows = now?.vitals ?? [];
  const none = now !== null && rows.every((row) => row.samples === 0);
  return (
    <Panel name="vitals" title="Web vitals" note={none ? "Vitals arrive when a visitor leaves or hides a page." : "75th percentile of real visits, last 24 h"}>
      <div class="vitals">
        {VITALS.map((name) => <VitalCard key={name} name={name} facts={factsOf(rows.find((row) => row.name === name))} />)}
      </div>
    </Panel>
  );
}
