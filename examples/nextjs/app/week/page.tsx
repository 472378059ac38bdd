import type { Metadata } from "next";
import { formatClock, formatDay, formatHeight, listTurns, type Turn } from "@/lib/tide";

export const metadata: Metadata = { title: "The week" };

/** Made again when it is older than ten seconds and somebody asks. */
export const revalidate = 10;

const DAY = 86_400_000;

export default function Week() {
  const now = Date.now();
  const midnight = now - (now % DAY);
  const days = Array.from({ length: 7 }, (_, index) => midnight + index * DAY);
  return (
    <article className="sheet">
      <h1>Seven days of turning water</h1>
      <p className="lead">Springs come after the full and the new moon; neaps are for long, lazy lengths.</p>
      <table>
        <thead>
          <tr><th scope="col">Day</th><th scope="col">Low</th><th scope="col">High</th></tr>
        </thead>
        <tbody>
          {days.map((day) => {
            const turns = listTurns(day, day + DAY);
            return (
              <tr key={day}>
                <th scope="row">{formatDay(day)}</th>
                <td><Turns turns={turns} kind="Low" /></td>
                <td><Turns turns={turns} kind="High" /></td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p className="hint">Printed at <time id="printed" dateTime={new Date(now).toISOString()}>{formatClock(now)}</time>.</p>
    </article>
  );
}

function Turns({ turns, kind }: { turns: Turn[]; kind: Turn["kind"] }) {
  return turns
    .filter((turn) => turn.kind === kind)
    .map((turn) => <span className="turn" key={turn.at}>{formatClock(turn.at)} <small>{formatHeight(turn.height)}</small></span>);
}
