// One web vital: p75, rating, how samples spread over the three classes, and the limits.
import { count, plural } from "../format";
import type { Rating, VitalName } from "../wire";
import { limitsText, RatingMark, VITAL_TITLES } from "./Rating";

export interface VitalFacts {
  /** p75 as text, since a stretch of several groups has only a range. */
  value: string;
  rating: Rating | null;
  good: number;
  needs_improvement: number;
  poor: number;
  samples: number;
}

interface VitalCardProps {
  name: VitalName;
  facts: VitalFacts | null;
}

function Spread({ facts }: { facts: VitalFacts }) {
  const total = facts.good + facts.needs_improvement + facts.poor;
  const parts = [
    { rating: "good", value: facts.good },
    { rating: "needs-improvement", value: facts.needs_improvement },
    { rating: "poor", value: facts.poor },
  ];
  const spoken = `${count(facts.good)} good, ${count(facts.needs_improvement)} need improvement, ${count(facts.poor)} poor`;
  return (
    <div class="spread" role="img" aria-label={spoken} title={spoken}>
      {parts.map(({ rating, value }) => value > 0 && (
        <span key={rating} class={`spread-part fill-${rating}`} style={{ flexGrow: value / total }} />
      ))}
    </div>
  );
}

export function VitalCard({ name, facts }: VitalCardProps) {
  return (
    <div class="vital" role="group" aria-label={VITAL_TITLES[name]} data-vital={name}>
      <p class="vital-name"><abbr title={VITAL_TITLES[name]}>{name}</abbr> <span class="vital-title">{VITAL_TITLES[name]}</span></p>
      <p class="vital-figure">
        <span class={`vital-value${facts?.value.includes("–") === true ? " is-range" : ""}`} data-value>{facts?.value ?? "–"}</span>
        {facts === null ? <span class="rating rating-none">No samples</span> : <RatingMark rating={facts.rating} />}
      </p>
      {facts === null ? <div class="spread" /> : <Spread facts={facts} />}
      <p class="vital-limits">
        <span>{limitsText(name)}</span>
        {facts !== null && <span class="vital-samples">{plural(facts.samples, "sample")}</span>}
      </p>
    </div>
  );
}
