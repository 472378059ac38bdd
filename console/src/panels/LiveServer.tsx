// How full the server is: processor, memory, connections, the recorder's queue, and what it refused.
import type { ComponentChildren } from "preact";
import { Panel } from "../parts/Panel";
import { bytes, count, duration, percent, words } from "../format";
import { snapshot } from "../state/live";
import type { Cell, Snapshot } from "../wire";

interface FactProps {
  label: string;
  children: ComponentChildren;
  tone?: "plain" | "bad";
}

function Fact({ label, children, tone = "plain" }: FactProps) {
  return (
    <div class="fact">
      <dt>{label}</dt>
      <dd class={`tone-${tone}`}>{children}</dd>
    </div>
  );
}

/** A share of one core; several busy cores go past the end of the bar, and the number says so. */
function Processor({ cpu }: { cpu: Cell }) {
  return (
    <>
      {cpu !== null && (
        <span class="meter" aria-hidden="true"><span class="meter-fill" style={{ width: `${Math.min(100, cpu * 100)}%` }} /></span>
      )}
      <span>{percent(cpu)}<span class="unit"> of a core</span></span>
    </>
  );
}

function refusedRows(now: Snapshot): [string, number][] {
  return Object.entries(now.refused_total).filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]);
}

export function LiveServer() {
  const now = snapshot.value;
  if (now === null) return <Panel name="server" title="Server"><p class="empty" /></Panel>;
  const { saturation } = now;
  const shed = saturation.recorder_shed ?? 0;
  return (
    <Panel name="server" title="Server" note={`up ${duration(now.uptime_s)}`}>
      <div class="scroll" tabIndex={0} role="region" aria-label="Server saturation">
        <dl class="facts">
          <Fact label="CPU"><Processor cpu={saturation.cpu} /></Fact>
          <Fact label="Memory">{bytes(saturation.memory_bytes)}</Fact>
          <Fact label="Connections">{count(saturation.connections)}</Fact>
          <Fact label={now.sites.length > 1 ? "Sent by this site" : "Sent"}>{bytes(now.rate.bytes)}/s</Fact>
          <Fact label="Recorder queue">{count(saturation.recorder_queue)}</Fact>
          <Fact label="Events shed" tone={shed > 0 ? "bad" : "plain"}>{count(saturation.recorder_shed)}</Fact>
          {refusedRows(now).map(([reason, value]) => (
            <Fact key={reason} label={`Refused: ${words(reason)}`}>{count(value)}</Fact>
          ))}
        </dl>
      </div>
    </Panel>
  );
}
