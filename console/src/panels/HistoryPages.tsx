// What people looked at and did: pages, or the events that pages and the app name.
import { useState } from "preact/hooks";
import { Empty } from "../parts/Empty";
import { Panel } from "../parts/Panel";
import { Ranking } from "../parts/Ranking";
import { ReadState } from "../parts/ReadState";
import { Segments } from "../parts/Segments";
import { events, pages } from "../state/history";

const CHOICES = [
  { value: "pages", label: "Pages" },
  { value: "events", label: "Events" },
] as const;

type Choice = (typeof CHOICES)[number]["value"];

const NO_EVENTS = <Empty title="No events in this time.">Pages name them by mainstay(name), your app by /_mainstay/record.</Empty>;

export function HistoryPages() {
  const [choice, setChoice] = useState<Choice>("pages");
  const controls = <Segments legend="What people did" options={CHOICES} value={choice} onChange={setChoice} />;
  if (choice === "events") {
    return (
      <Panel name="pages" title="Events" controls={controls}>
        <ReadState read={events.value}>
          {(rows) => (
            <Ranking
              caption="Events"
              heading="Event"
              times="Times"
              rows={rows.map((row) => ({ key: row.name, visitors: row.visitors, pageviews: row.count }))}
              empty={NO_EVENTS}
            />
          )}
        </ReadState>
      </Panel>
    );
  }
  return (
    <Panel name="pages" title="Top pages" controls={controls}>
      <ReadState read={pages.value}>
        {(rows) => <Ranking caption="Top pages" heading="Page" rows={rows} empty={<Empty title="No visits in this time." />} />}
      </ReadState>
    </Panel>
  );
}
