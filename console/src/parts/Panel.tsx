// The frame of every panel: a titled region with room for controls; it decides nothing about content.
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface PanelProps {
  title: string;
  /** What the numbers cover, for example "last 30 min". */
  note?: string;
  name: string;
  /** What the colours mean, between title and controls. */
  legend?: ComponentChildren;
  controls?: ComponentChildren;
  children: ComponentChildren;
}

export function Panel({ title, note, name, legend, controls, children }: PanelProps) {
  const id = useId();
  return (
    <section class={`panel panel-${name}`} aria-labelledby={id} data-panel={name}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span class="panel-note">{note}</span>}
        {legend}
        {controls !== undefined && <div class="panel-controls">{controls}</div>}
      </header>
      <div class="panel-body">{children}</div>
    </section>
  );
}
