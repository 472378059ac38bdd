import Image from "next/image";
import Script from "next/script";
import { connection } from "next/server";
import { Curve } from "@/components/curve";
import { LiveTide } from "@/components/live-tide";
import { formatClock, formatDay, formatHeight, listHeights, listTurns, readTide } from "@/lib/tide";
import dusk from "@/pictures/dusk.webp";

const HALF_DAY = 12 * 3_600_000;
const ZONE = `document.querySelector("#zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;`;

/** Rendered for every request: it shows the water as it is now. */
export default async function Home() {
  // Without this line the build would make the page, once.
  await connection();
  const now = Date.now();
  const tide = readTide(now);
  return (
    <>
      <section className="hero">
        <Image src={dusk} alt="Dusk over a still bay, one buoy in the middle" placeholder="blur" priority sizes="100vw" />
        <div className="hero-words">
          <p className="eyebrow">{formatDay(now)}</p>
          <h1>The sea holds its breath four times a day.</h1>
          <p>Between flood and ebb there is a quiet half hour. We swim then.</p>
        </div>
      </section>
      <section className="now">
        <LiveTide first={tide} />
        <Curve heights={listHeights(now)} now={now} />
      </section>
      <section className="turns">
        <h2>Next turns</h2>
        <ol>
          {listTurns(now, now + 2 * HALF_DAY).map((turn) => (
            <li key={turn.at}>
              <b>{turn.kind}</b>
              <time dateTime={new Date(turn.at).toISOString()}>{formatClock(turn.at)}</time>
              <span>{formatHeight(turn.height)}</span>
            </li>
          ))}
        </ol>
        <p className="hint">
          Times are the cove’s. Your clock is in <output id="zone" suppressHydrationWarning>its own zone</output>.
        </p>
      </section>
      <Script id="zone-script">{ZONE}</Script>
    </>
  );
}
