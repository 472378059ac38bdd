// The web vitals as cards: p75, rating, how samples spread over the three classes, and the limits.
import { count, MISSING, plural, vital } from "../format";
import type { VitalName, VitalRow } from "../wire";
import { limitsText, RatingMark, ratingOf, VITAL_TITLES, VITALS } from "./Rating";

/** What a panel says as long as there are none. */
export const NO_VITALS = "Vitals arrive as a visitor loads a page, and the rest when they leave or hide it.";

function Spread({ facts }: { facts: VitalRow }) {
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

function VitalCard({ name, facts }: { name: VitalName; facts: VitalRow | undefined }) {
  return (
    <div class="vital" role="group" aria-label={VITAL_TITLES[name]} data-vital={name}>
      <p class="vital-name"><abbr title={VITAL_TITLES[name]}>{name}</abbr> <span class="vital-title">{VITAL_TITLES[name]}</span></p>
      <p class="vital-figure">
        <span class="vital-value" data-value>{facts === undefined ? MISSING : vital(name, facts.p75)}</span>
        {facts === undefined ? <span class="rating rating-none">No samples</span> : <RatingMark rating={ratingOf(facts.rating)} />}
      </p>
      {facts === undefined ? <div class="spread" /> : <Spread facts={facts} />}
      <p class="vital-limits">
        <span>{limitsText(name)}</span>
        {facts !== undefined && <span class="vital-samples">{plural(facts.samples, "sample")}</span>}
      </p>
    </div>
  );
}

/** All five, in their order; those without samples say so. */
export function VitalCards({ rows }: { rows: VitalRow[] }) {
  return (
    <div class="vitals">
      {VITALS.map((name) => (
        <VitalCard key={name} name={name} facts={rows.find((row) => row.name === name && row.samples > 0)} />
      ))}
    </div>
  );
}
