// Web vitals of the chosen time: all together, or by page, device or release.
import { useState } from "preact/hooks";
import { Panel } from "../parts/Panel";
import { RatingMark, ratingOf, VITALS } from "../parts/Rating";
import { ReadState } from "../parts/ReadState";
import { Segments } from "../parts/Segments";
import { VitalCard, type VitalFacts } from "../parts/VitalCard";
import { count, MISSING, vital } from "../format";
import { vitals, type VitalsBy } from "../state/history";
import { keysBySamples, p75Text, ratingOfTotals, totalsOf } from "../vitals";
import type { KeyedVitalRow, VitalName } from "../wire";

const CHOICES = [
  { value: "all", label: "All" },
  { value: "page", label: "By page" },
  { value: "device", label: "By device" },
  { value: "release", label: "By release" },
] as const;

const HEADINGS = { page: "Page", device: "Device", release: "Release" } as const;

type Choice = (typeof CHOICES)[number]["value"];

function factsOf(name: VitalName, rows: KeyedVitalRow[]): VitalFacts | null {
  const own = rows.filter((row) => row.name === name && row.samples > 0);
  if (own.length === 0) return null;
  const totals = totalsOf(own);
  return { ...totals, value: p75Text(name, own), rating: ratingOfTotals(totals) };
}

function Cards({ rows }: { rows: KeyedVitalRow[] }) {
  return (
    <div class="vitals">
      {VITALS.map((name) => <VitalCard key={name} name={name} facts={factsOf(name, rows)} />)}
    </div>
  );
}

function Cell({ row }: { row: KeyedVitalRow | undefined }) {
  if (row === undefined || row.samples === 0) return <td class="number">{MISSING}</td>;
  return (
    <td class="number" title={`${count(row.samples)} samples`}>
      {vital(row.name, row.p75)} <RatingMark rating={ratingOf(row.rating)} />
    </td>
  );
}

function Matrix({ rows, heading }: { rows: KeyedVitalRow[]; heading: VitalsBy }) {
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
          {keysBySamples(rows).map((key) => (
            <tr key={key}>
              <th scope="row" title={key}>{key === "" ? "(none)" : key}</th>
              {VITALS.map((name) => <Cell key={name} row={rows.find((row) => row.key === key && row.name === name)} />)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function HistoryVitals() {
  const [choice, setChoice] = useState<Choice>("all");
  const read = vitals[choice === "all" ? "device" : choice].value;
  const none = read.rows !== null && read.rows.every((row) => row.samples === 0);
  const note = none ? "Vitals arrive when a visitor leaves or hides a page." : choice === "all" ? "75th percentile, range over devices" : "75th percentile";
  return (
    <Panel
      name="vitals"
      title="Web vitals"
      note={note}
      controls={<Segments legend="Web vitals by" options={CHOICES} value={choice} onChange={setChoice} />}
    >
      <ReadState read={read}>
        {(rows) => (choice === "all" || rows.length === 0 ? <Cards rows={rows} /> : <Matrix rows={rows} heading={choice} />)}
      </ReadState>
    </Panel>
  );
}
