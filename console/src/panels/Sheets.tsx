// The pages shown instead of the console: signed out, and server not reached.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

function Sheet({ title, children }: { title: string; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Mainstay`;
    heading.current?.focus();
  }, [title]);
  return (
    <main class="sheet">
      <div class="sheet-card">
        <img class="sheet-mark" src="/assets/icon.svg" alt="" width="40" height="40" />
        <h1 ref={heading} tabIndex={-1}>{title}</h1>
        {children}
      </div>
    </main>
  );
}

export function SignedOut({ reason }: { reason: string }) {
  return (
    <Sheet title="You are signed out">
      <p>{reason}</p>
      <p>To sign in, run this on the server, in the folder Mainstay was started from, and open the link it prints:</p>
      <p><code class="sheet-command">mainstay admin link</code></p>
      <p class="sheet-note">Each link works once.</p>
    </Sheet>
  );
}

export function Unreachable() {
  return (
    <Sheet title="Mainstay does not answer">
      <p>The console is loaded, but the server behind it did not answer. This page asks again every few seconds.</p>
      <p class="sheet-note">If it stays like this, look at the log of the server.</p>
    </Sheet>
  );
}
