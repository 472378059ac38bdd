// Web vitals of the chosen time: of the whole site, or by page, device or release.
import { useState } from "preact/hooks";
import { Panel } from "../parts/Panel";
import { RatingMark, ratingOf, VITALS } from "../parts/Rating";
import { ReadState } from "../parts/ReadState";
import { Segments } from "../parts/Segments";
import { NO_VITALS, VitalCards } from "../parts/VitalCard";
import { count, MISSING, vital } from "../format";
import { keysBySamples } from "../order";
import { RANK_ROWS, vitals, type VitalsBy } from "../state/history";
import type { KeyedVitalRow } from "../wire";

const CHOICES = [
  { value: "site", label: "All" },
  { value: "page", label: "By page" },
  { value: "device", label: "By device" },
  { value: "release", label: "By release" },
] as const;

const HEADINGS = { page: "Page", device: "Device", release: "Release" } as const;

function Cell({ row }: { row: KeyedVitalRow | undefined }) {
  if (row === undefined || row.samples === 0) return <td class="number">{MISSING}</td>;
  return (
    <td class="number" title={`${count(row.samples)} samples`}>
      {vital(row.name, row.p75)} <RatingMark rating={ratingOf(row.rating)} />
    </td>
  );
}

function Matrix({ rows, heading }: { rows: KeyedVitalRow[]; heading: Exclude<VitalsBy, "site"> }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Web vitals by ${heading}`}>
      <table class="figures matrix">
        <caption class="hidden">75th percentile of each web vital by {heading}</caption>
        <thead>
          <tr>
            <th scope="col" class="matrix-key">{HEADINGS[heading]}</th>
            {VITALS.map((name) => <th key={name} scope="col" class="number">{name}</th>)}
          </tr>
        </thead>
        <tbody>
          {keysBySamples(rows).slice(0, RANK_ROWS).map((key) => (
            <tr key={key ?? ""}>
              <th scope="row" title={key ?? undefined}>{key ?? "(none)"}</th>
              {VITALS.map((name) => <Cell key={name} row={rows.find((row) => row.key === key && row.name === name)} />)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function HistoryVitals() {
  const [choice, setChoice] = useState<VitalsBy>("site");
  const read = vitals[choice].value;
  const none = read.rows !== null && read.rows.every((row) => row.samples === 0);
  return (
    <Panel
      name="vitals"
      title="Web vitals"
      note={none ? NO_VITALS : "75th percentile of real visits"}
      controls={<Segments legend="Web vitals by" options={CHOICES} value={choice} onChange={setChoice} />}
    >
      <ReadState read={read}>
        {(rows) => (choice === "site" || rows.length === 0 ? <VitalCards rows={rows} /> : <Matrix rows={rows} heading={choice} />)}
      </ReadState>
    </Panel>
  );
}
