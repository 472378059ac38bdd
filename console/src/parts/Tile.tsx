// One headline number with its name and a line of context.
import type { ComponentChildren } from "preact";

interface TileProps {
  name: string;
  label: string;
  value: string;
  unit?: string;
  note: ComponentChildren;
  tone?: "plain" | "warn" | "bad";
  children?: ComponentChildren;
}

export function Tile({ name, label, value, unit, note, tone = "plain", children }: TileProps) {
  return (
    <section class={`tile tile-${name}`} aria-label={label} data-tile={name}>
      <div class="tile-text">
        <h2 class="tile-label">{label}</h2>
        <p class={`tile-value tone-${tone}`}>
          <span data-value>{value}</span>
          {unit !== undefined && <span class="tile-unit"> {unit}</span>}
        </p>
        <p class="tile-note">{note}</p>
      </div>
      {children}
    </section>
  );
}
