// A web vital's rating as shape, word and colour together, and where its limits lie.
import type { Rating, VitalName } from "../wire";

export const VITALS: readonly VitalName[] = ["LCP", "INP", "CLS", "FCP", "TTFB"];

export const VITAL_TITLES: Record<VitalName, string> = {
  LCP: "Largest Contentful Paint",
  INP: "Interaction to Next Paint",
  CLS: "Cumulative Layout Shift",
  FCP: "First Contentful Paint",
  TTFB: "Time to First Byte",
};

/** Upper bounds of good and of needs improvement, as the web-vitals library defines them; ms, CLS unitless. */
const LIMITS: Record<VitalName, readonly [number, number]> = {
  LCP: [2500, 4000],
  INP: [200, 500],
  CLS: [0.1, 0.25],
  FCP: [1800, 3000],
  TTFB: [800, 1800],
};

const WORDS: Record<Rating, string> = { good: "Good", "needs-improvement": "Needs improvement", poor: "Poor" };
const SHAPES: Record<Rating, string> = { good: "●", "needs-improvement": "▲", poor: "■" };

/** The server writes `needs_improvement` or `needs-improvement`; anything else has no rating. */
export function ratingOf(text: string): Rating | null {
  const name = text.replaceAll("_", "-");
  return name === "good" || name === "needs-improvement" || name === "poor" ? name : null;
}

export function limitsText(name: VitalName): string {
  const [good, poor] = LIMITS[name];
  if (name === "CLS") return `good ≤ ${good} · poor > ${poor}`;
  return poor < 1000 ? `good ≤ ${good} · poor > ${poor} ms` : `good ≤ ${good / 1000} · poor > ${poor / 1000} s`;
}

export function RatingMark({ rating }: { rating: Rating | null }) {
  if (rating === null) return <span class="rating rating-none">Not rated</span>;
  return (
    <span class={`rating rating-${rating}`}>
      <span aria-hidden="true" class="rating-shape">{SHAPES[rating]}</span> {WORDS[rating]}
    </span>
  );
}
