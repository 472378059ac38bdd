import type { Metadata, Viewport } from "next";
import localFont from "next/font/local";
import Link from "next/link";
import Script from "next/script";
import type { ReactNode } from "react";
import { Night } from "@/components/night";
import { WebVitals } from "@/components/web-vitals";
import "./site.css";

const text = localFont({
  src: "../node_modules/@fontsource-variable/bricolage-grotesque/files/bricolage-grotesque-latin-wght-normal.woff2",
  variable: "--text",
  weight: "200 800",
});
const display = localFont({
  src: "../node_modules/@fontsource-variable/newsreader/files/newsreader-latin-wght-normal.woff2",
  variable: "--display",
  weight: "200 800",
});

/** Runs before the page wakes up, on every page, made by the build or not. */
const SKY = `document.documentElement.dataset.sky = localStorage.getItem("sky") ?? "day";`;

export const metadata: Metadata = {
  title: { default: "Slack Water", template: "%s · Slack Water" },
  description: "Tides and swims at Pellow Cove.",
};

export const viewport: Viewport = { themeColor: "#0d3b46" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" className={`${text.variable} ${display.variable}`} suppressHydrationWarning>
      <body>
        <Script id="sky" strategy="beforeInteractive">{SKY}</Script>
        <WebVitals />
        <header className="top">
          <Link href="/" className="brand">Slack Water</Link>
          <nav aria-label="Pages">
            <Link href="/week">The week</Link>
            <Link href="/cove">The cove</Link>
            <Link href="/book">The book</Link>
            <Night />
          </nav>
        </header>
        <main>{children}</main>
        <footer className="foot">
          <p>Pellow Cove is invented, and so are its tides. Swim where somebody can see you.</p>
        </footer>
      </body>
    </html>
  );
}
