// The two ways to look at latency: all of it, or how an app and Mainstay share it; offered where an app answered.
import { Segments } from "./Segments";
import type { Line } from "./plot";
import type { Cell } from "../wire";

const CHOICES = [
  { value: "all", label: "Whole", title: "To the end of the answer" },
  { value: "split", label: "Split", title: "Waiting for the app, and the rest" },
] as const;

export type LatencyChoice = (typeof CHOICES)[number]["value"];

/** Where the time to the head of an app's answers went. */
export const SPLIT_TITLE = "Where the time goes";

export interface SplitColumns {
  appP50: Cell[];
  appP95: Cell[];
  oursP50: Cell[];
  oursP95: Cell[];
}

export function splitLines({ appP50, appP95, oursP50, oursP95 }: SplitColumns): Line[] {
  return [
    { label: "app p50", values: appP50, color: "--pct-95", kind: "line" },
    { label: "app p95", values: appP95, color: "--pct-99", kind: "line" },
    { label: "ours p50", values: oursP50, color: "--pct-50", kind: "line" },
    { label: "ours p95", values: oursP95, color: "--line-1", kind: "line" },
  ];
}

export function latencyLines(p50: Cell[], p95: Cell[], p99: Cell[]): Line[] {
  return [
    { label: "p50", values: p50, color: "--pct-50", kind: "line" },
    { label: "p95", values: p95, color: "--pct-95", kind: "line" },
    { label: "p99", values: p99, color: "--pct-99", kind: "line" },
  ];
}

interface SplitChoiceProps {
  value: LatencyChoice;
  onChange: (value: LatencyChoice) => void;
}

export function SplitChoice({ value, onChange }: SplitChoiceProps) {
  return <Segments legend="Latency of" options={CHOICES} value={value} onChange={onChange} />;
}
