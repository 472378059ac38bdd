// A panel with a time chart, its read-out, and the same numbers as a table for whoever prefers or needs it.
import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type uPlot from "uplot";
import { theme } from "../state/theme";
import type { Cell } from "../wire";
import { ChartTable } from "./ChartTable";
import { Panel } from "./Panel";
import { columnsOf, type Line, type Look, makePlot } from "./plot";

export interface ChartProps {
  name: string;
  title: string;
  note: string;
  t: number[];
  bounds: [number, number];
  lines: Line[];
  look: Look;
  /** Values beside the legend while nothing is pointed at, and what they cover. */
  latest: Cell[];
  latestOf: string;
  /** Text of a value in read-out and table. */
  text: (value: Cell) => string;
  /** Text of a time in read-out and table. */
  time: (second: number) => string;
  /** Another way to look at it, beside the table. */
  choice?: ComponentChildren;
  /** What to say instead of a chart without data. */
  empty: ComponentChildren;
}

/** Draws into a host element; keeps one uPlot per set of series and theme. */
function usePlot(props: ChartProps, onHover: (index: number | null) => void) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const current = useRef(props);
  current.current = props;
  const shape = `${theme.value} ${props.look.scale} ${props.look.times} ${props.lines.map((line) => line.label).join()}`;

  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const { lines, look } = current.current;
    const made = makePlot({ host: element, lines, look, bounds: () => current.current.bounds, onHover });
    plot.current = made;
    const watcher = new ResizeObserver(() => {
      made.setSize({ width: Math.max(1, element.clientWidth), height: Math.max(1, element.clientHeight) });
    });
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(columnsOf(props.t, props.lines, props.look));
  }, [props.t, props.lines, props.bounds[0], props.bounds[1], shape]);

  return host;
}

interface LegendProps {
  lines: Line[];
  values: Cell[];
  text: (value: Cell) => string;
  /** The moment or stretch the values belong to. */
  of: string;
}

function Legend({ lines, values, text, of }: LegendProps) {
  return (
    <ul class="legend">
      <li class="legend-of">{of}</li>
      {lines.map((line, index) => (
        <li key={line.label} class="legend-item">
          <span class={`swatch swatch${line.color}`} aria-hidden="true" />
          <span class="legend-label">{line.label}</span>
          <span class="legend-value">{text(values[index] ?? null)}</span>
        </li>
      ))}
    </ul>
  );
}

function Plot({ props, onHover }: { props: ChartProps; onHover: (index: number | null) => void }) {
  const host = usePlot(props, onHover);
  const spoken = props.lines.map((line, index) => `${line.label} ${props.text(props.latest[index] ?? null)}`).join(", ");
  return (
    <>
      <div class="plot" role="img" aria-label={`${props.title}, ${props.note}. ${spoken}. Choose Table for every value.`}>
        <div class="plot-host" ref={host} />
      </div>
      {props.empty}
    </>
  );
}

export function Chart(props: ChartProps) {
  const [asTable, setAsTable] = useState(false);
  const [hover, setHover] = useState<number | null>(null);
  const values = hover === null ? props.latest : props.lines.map((line) => line.values[hover] ?? null);
  const pointed = hover === null ? undefined : props.t[hover];
  const of = pointed === undefined ? props.latestOf : props.time(pointed);
  const controls = (
    <>
      {props.choice}
      <button type="button" class="quiet" aria-pressed={asTable} aria-label={`${props.title} as a table`} onClick={() => setAsTable(!asTable)}>
        Table
      </button>
    </>
  );
  return (
    <Panel
      name={props.name}
      title={props.title}
      note={props.note}
      legend={<Legend lines={props.lines} values={values} text={props.text} of={of} />}
      controls={controls}
    >
      {asTable ? <ChartTable {...props} /> : <Plot props={props} onHover={setHover} />}
    </Panel>
  );
}
