"use client";

import { useReportWebVitals } from "next/web-vitals";

/** Outside the component: a new function each time would report everything again. */
const report = ({ id, name, value }: { id: string; name: string; value: number }) => {
  if (!name.startsWith("Next.js")) navigator.sendBeacon("/api/vitals", JSON.stringify({ id, name, value }));
};

export function WebVitals() {
  useReportWebVitals(report);
  return null;
}
