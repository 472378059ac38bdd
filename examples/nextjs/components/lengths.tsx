"use client";

import { useState } from "react";

const METRES = 180;

export function Lengths() {
  const [lengths, setLengths] = useState(0);
  return (
    <div className="lengths">
      <output aria-live="polite" style={{ "--share": Math.min(lengths / 10, 1) } as React.CSSProperties}>
        <b id="lengths">{lengths}</b> {lengths === 1 ? "length" : "lengths"}, {lengths * METRES} m
      </output>
      <button type="button" onClick={() => setLengths((count) => count + 1)}>One more</button>
      <button type="button" className="quiet" onClick={() => setLengths(0)} disabled={lengths === 0}>Dry off</button>
    </div>
  );
}
