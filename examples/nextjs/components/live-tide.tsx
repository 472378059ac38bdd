"use client";

import { useState } from "react";
import { formatClock, formatHeight, type Tide } from "@/lib/tide";

/** What the server knew when it made the page, until somebody asks again. */
export function LiveTide({ first }: { first: Tide }) {
  const [tide, setTide] = useState(first);
  const [asked, setAsked] = useState(0);
  const ask = async () => {
    const response = await fetch("/api/tide");
    if (!response.ok) return;
    setTide((await response.json()) as Tide);
    setAsked((count) => count + 1);
  };
  return (
    <div className="gauge">
      <p className="eyebrow">Now, at {formatClock(tide.at)}</p>
      <p className="level"><b>{formatHeight(tide.height)}</b> and {tide.rising ? "rising" : "falling"}</p>
      {tide.next && <p>{tide.next.kind} water at {formatClock(tide.next.at)}: slack for half an hour.</p>}
      <button type="button" id="ask" data-asked={asked} onClick={ask}>Look again</button>
    </div>
  );
}
