// The numbers of a chart as a table, newest first.
import type { ChartProps } from "./Chart";

/** Rows shown; the API answers with all of them. */
const ROWS_MAX = 120;

export function ChartTable({ title, t, lines, text, time }: ChartProps) {
  const order = Array.from({ length: Math.min(ROWS_MAX, t.length) }, (_, i) => t.length - 1 - i);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${title}, table`}>
      <table class="figures">
        <caption class="hidden">{`${title}, newest first`}</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {lines.map((line) => <th key={line.label} scope="col" class="number">{line.label}</th>)}
          </tr>
        </thead>
        <tbody>
          {order.map((index) => (
            <tr key={t[index]}>
              <th scope="row">{time(t[index] ?? 0)}</th>
              {lines.map((line) => <td key={line.label} class="number">{text(line.values[index] ?? null)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
