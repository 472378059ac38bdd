import { formatClock } from "@/lib/tide";

const [WIDTH, HEIGHT, TOP] = [960, 220, 6];

/** Twenty-four hours of water as a drawing. */
export function Curve({ heights, now }: { heights: { at: number; height: number }[]; now: number }) {
  const first = heights[0]?.at ?? now;
  const span = (heights.at(-1)?.at ?? now) - first || 1;
  const x = (at: number) => (((at - first) / span) * WIDTH).toFixed(1);
  const y = (height: number) => (HEIGHT - (height / TOP) * HEIGHT).toFixed(1);
  const line = heights.map(({ at, height }) => `${x(at)},${y(height)}`).join(" L");
  const here = heights[Math.floor(heights.length / 2)]?.height ?? 0;
  return (
    <svg className="curve" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`The tide around ${formatClock(now)}`}>
      <path className="water" d={`M${line} L${WIDTH},${HEIGHT} L0,${HEIGHT} Z`} />
      <path className="edge" d={`M${line}`} />
      <line x1={x(now)} x2={x(now)} y1="0" y2={HEIGHT} />
      <circle cx={x(now)} cy={y(here)} r="7" />
    </svg>
  );
}
