// What went wrong in visitors' browsers: errors of scripts, or reports of the browsers themselves.
import { useState } from "preact/hooks";
import { Segments } from "../parts/Segments";
import { HistoryErrors } from "./HistoryErrors";
import { HistoryReports } from "./HistoryReports";

const CHOICES = [
  { value: "errors", label: "Errors" },
  { value: "reports", label: "Reports" },
] as const;

type Choice = (typeof CHOICES)[number]["value"];

export function HistoryFaults() {
  const [choice, setChoice] = useState<Choice>("errors");
  const controls = <Segments legend="Faults in browsers" options={CHOICES} value={choice} onChange={setChoice} />;
  // Called, not mounted: both are one panel, so that the focus stays on the choice that was made.
  return choice === "errors" ? HistoryErrors({ controls }) : HistoryReports({ controls });
}
