// A ranked table of keys with visitors and page views, or how often else; the bar behind a key is its share of the first row's.
import type { ComponentChildren } from "preact";
import { count } from "../format";
import type { RankRow } from "../wire";

interface RankingProps {
  caption: string;
  /** Heading of the key column. */
  heading: string;
  /** Heading of the last column. */
  times?: string;
  rows: RankRow[];
  empty: ComponentChildren;
}

export function Ranking({ caption, heading, times = "Views", rows, empty }: RankingProps) {
  if (rows.length === 0) return <>{empty}</>;
  const most = Math.max(1, ...rows.map((row) => row.pageviews));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table class="ranking">
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{heading}</th>
            <th scope="col" class="number">Visitors</th>
            <th scope="col" class="number">{times}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row" title={row.key}>
                <span class="share" style={{ width: `${(row.pageviews / most) * 100}%` }} aria-hidden="true" />
                <span class="key">{row.key}</span>
              </th>
              <td class="number">{count(row.visitors)}</td>
              <td class="number">{count(row.pageviews)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
