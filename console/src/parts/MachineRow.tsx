// One process or server in a list: its name, its state as shape, word and colour together, facts, and why it is not well.
import { Fragment, type ComponentChildren } from "preact";

export type Tone = "good" | "warn" | "bad" | "plain";

const SHAPES: Record<Tone, string> = { good: "●", warn: "▲", bad: "■", plain: "○" };

interface MachineRowProps {
  name: ComponentChildren;
  /** The whole name, where the shown one is shortened. */
  title: string;
  tone: Tone;
  state: string;
  facts: readonly (string | null)[];
  reasons?: readonly string[];
}

export function MachineRow({ name, title, tone, state, facts, reasons = [] }: MachineRowProps) {
  return (
    <li class="machine">
      <span class="machine-name" title={title}>{name}</span>
      <span class={`machine-state state-${tone}`}>
        <span class="rating-shape" aria-hidden="true">{SHAPES[tone]}</span> {state}
      </span>
      <span class="machine-facts">
        {facts.filter((fact) => fact !== null).map((fact, i) => <Fragment key={fact}>{i > 0 && " · "}<span class="machine-fact">{fact}</span></Fragment>)}
      </span>
      {reasons.map((reason) => <span key={reason} class="machine-reason">{reason}</span>)}
    </li>
  );
}

/** A list of them that scrolls by itself. */
export function MachineList({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <ul class="machines">{children}</ul>
    </div>
  );
}
