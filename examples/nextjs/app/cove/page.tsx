import type { Metadata } from "next";
import Image from "next/image";
import { Lengths } from "@/components/lengths";
import noon from "@/pictures/noon.webp";
import squall from "@/pictures/squall.webp";

export const metadata: Metadata = { title: "The cove" };

/** Made once, by the build. */
export default function Cove() {
  return (
    <article className="sheet">
      <h1>A room with one blue wall</h1>
      <p className="lead">
        Pellow Cove is two hundred metres across. Slate on both sides, sand at low water, and a buoy that somebody’s
        grandfather anchored for measuring lengths.
      </p>
      <div className="pair">
        <figure>
          <Image src={noon} alt="The cove at noon, light green over sand" sizes="(min-width: 50rem) 26rem, 90vw" placeholder="blur" />
          <figcaption>Noon, two hours after high water.</figcaption>
        </figure>
        <figure>
          <Image src={squall} alt="A squall coming in, dark bands over grey water" sizes="(min-width: 50rem) 26rem, 90vw" placeholder="blur" />
          <figcaption>The kind of day for staying on the step.</figcaption>
        </figure>
      </div>
      <h2>Count your lengths</h2>
      <p>From the slip to the buoy and back is one length.</p>
      <Lengths />
    </article>
  );
}
