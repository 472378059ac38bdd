// What visitors used and where they were: devices or countries.
import { useState } from "preact/hooks";
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { Ranking } from "../parts/Ranking";
import { ReadState } from "../parts/ReadState";
import { Segments } from "../parts/Segments";
import { countries, devices } from "../state/history";

const CHOICES = [
  { value: "devices", label: "Devices" },
  { value: "countries", label: "Countries" },
] as const;

type Choice = (typeof CHOICES)[number]["value"];

const NO_COUNTRIES = <Empty title="No countries in this time.">They need a country database named in the settings.</Empty>;

export function HistoryPlaces() {
  const [choice, setChoice] = useState<Choice>("devices");
  const isDevices = choice === "devices";
  const title = isDevices ? "Devices" : "Countries";
  return (
    <Panel name="places" title="Audience" controls={<Segments legend="Audience by" options={CHOICES} value={choice} onChange={setChoice} />}>
      <ReadState read={isDevices ? devices.value : countries.value}>
        {(rows) => (
          <Ranking
            caption={title}
            heading={isDevices ? "Device" : "Country"}
            rows={rows}
            empty={isDevices ? <Empty title="No visits in this time." /> : NO_COUNTRIES}
          />
        )}
      </ReadState>
    </Panel>
  );
}
