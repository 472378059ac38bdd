// A strip of bars, one per number; its numbers are also there as words.
import { plural } from "../format";

interface BarsProps {
  values: number[];
  /** Name of the strip for those who cannot see it. */
  label: string;
  /** What one bar covers, by position. */
  caption: (index: number) => string;
}

const HEIGHT = 40;
const STEP = 10;

export function Bars({ values, label, caption }: BarsProps) {
  const most = Math.max(1, ...values);
  const spoken = `${label}, oldest first: ${values.join(", ")}`;
  return (
    <svg class="bars" role="img" aria-label={spoken} viewBox={`0 0 ${values.length * STEP} ${HEIGHT}`} preserveAspectRatio="none">
      {values.map((value, index) => {
        const height = value === 0 ? 1 : Math.max(3, (value / most) * HEIGHT);
        return (
          <g key={index}>
            <title>{`${caption(index)}: ${plural(value, "page view")}`}</title>
            <rect class="bar-hit" x={index * STEP} y={0} width={STEP} height={HEIGHT} />
            <rect class={value === 0 ? "bar-zero" : "bar"} x={index * STEP + 1} y={HEIGHT - height} width={STEP - 2} height={height} />
          </g>
        );
      })}
    </svg>
  );
}
