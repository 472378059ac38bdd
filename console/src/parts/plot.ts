// uPlot's options for one of our charts: colours from the page's tokens, axes, scales. No data and no components.
import uPlot from "uplot";
import { clock, day } from "../format";
import type { Cell } from "../wire";

/** One drawn series; `color` and `wash` name tokens, so that both themes work. */
export interface Line {
  label: string;
  values: Cell[];
  color: string;
  wash?: string;
  kind: "line" | "bars";
  dash?: number[];
}

export interface Look {
  scale: "linear" | "log";
  times: "clock" | "calendar";
  /** Text of a value on the y axis. */
  tick: (value: number) => string;
  /** Charts with the same key share their cursor. */
  group: string;
}

/** Lowest and highest decade of a log axis without data. */
const LOG_EMPTY: uPlot.Range.MinMax = [0.1, 100];
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const Y_AXIS_PX = 52;

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Steps of a counting axis: nobody makes half a request. */
const WHOLE_STEPS = [1, 2, 5].flatMap((step) => [0, 1, 2, 3, 4, 5, 6, 7, 8].map((power) => step * 10 ** power)).sort((a, b) => a - b);

/** Labels of the live window, whole minutes only. */
const MINUTES = [60];
/** Height in canvas pixels below which a bar that is not zero is drawn all the same. */
const BAR_MIN_PX = 4;
/** How strong the mark of the smallest bar is; the largest is opaque. */
const BAR_MIN_ALPHA = 0.25;

/** Few errors among many requests would be thinner than a pixel; they get a mark on the floor instead. */
function drawSmallBars(plot: uPlot, lines: Line[]): void {
  const { ctx, bbox } = plot;
  lines.forEach((line, index) => {
    if (line.kind !== "bars") return;
    const values = Array.from(plot.data[index + 1] ?? [], (value) => value ?? 0);
    const most = Math.max(1, ...values);
    ctx.fillStyle = token(line.color);
    values.forEach((value, at) => {
      const x = plot.data[0]?.[at];
      if (value <= 0 || typeof x !== "number") return;
      const left = plot.valToPos(x, "x", true);
      const tall = plot.valToPos(0, "y", true) - plot.valToPos(value, "y", true) >= BAR_MIN_PX;
      if (tall || left < bbox.left || left > bbox.left + bbox.width) return;
      ctx.globalAlpha = BAR_MIN_ALPHA + (1 - BAR_MIN_ALPHA) * (value / most) ** 2;
      ctx.fillRect(left - 1, bbox.top + bbox.height - BAR_MIN_PX, 2, BAR_MIN_PX);
    });
    ctx.globalAlpha = 1;
  });
}

/** Lines at whole decades, and at 2 and 5 between them when there are few. */
function logSplits(_plot: uPlot, _axis: number, min: number, max: number): number[] {
  const decades = Math.round(Math.log10(max / min));
  const within = decades <= 2 ? [1, 2, 5] : [1];
  const low = Math.round(Math.log10(min));
  return Array.from({ length: decades + 1 }, (_, i) => within.map((factor) => factor * 10 ** (low + i)))
    .flat()
    .filter((value) => value <= max * 1.000001);
}

/** Measured points without a measured neighbour: no line reaches them, so they are drawn as dots. */
function isolated(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const has = (index: number): boolean => values[index] !== null && values[index] !== undefined;
  return Array.from(values, (_, i) => i).filter((i) => has(i) && !has(i - 1) && !has(i + 1));
}

/** Zero stays on the floor, and a chart of zeros still has height. */
function linearRange(_plot: uPlot, _min: number | null, max: number | null): uPlot.Range.MinMax {
  return max === null || max <= 0 ? [0, 1] : uPlot.rangeNum(0, max, 0.12, true);
}

/** Whole decades; uPlot hands null when there is nothing positive. */
function logRange(_plot: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null || min <= 0) return LOG_EMPTY;
  const low = Math.floor(Math.log10(min));
  const high = Math.max(low + 1, Math.ceil(Math.log10(max)));
  return [10 ** low, 10 ** high];
}

function timeText(look: Look): (plot: uPlot, splits: number[]) => string[] {
  return (_plot, splits) => splits.map((second) => {
    const text = clock(second);
    return look.times === "calendar" && text === "00:00" ? day(second) : text;
  });
}

function seriesOf(line: Line): uPlot.Series {
  const bars = line.kind === "bars" ? uPlot.paths.bars?.({ size: [0.8, 26, 2] }) : undefined;
  return {
    label: line.label,
    stroke: token(line.color),
    width: line.kind === "bars" ? 0 : 1.5,
    points: line.kind === "bars" ? { show: false } : { show: true, size: 4, width: 0, fill: token(line.color), filter: isolated },
    ...(line.kind === "bars" ? { fill: token(line.color) } : {}),
    ...(line.kind === "line" && line.wash !== undefined ? { fill: token(line.wash) } : {}),
    ...(line.dash === undefined ? {} : { dash: line.dash }),
    ...(bars === undefined ? {} : { paths: bars }),
  };
}

function axesOf(look: Look): uPlot.Axis[] {
  const shared = { stroke: token("--dim"), font: FONT };
  const grid = { stroke: token("--grid"), width: 1 };
  return [
    {
      ...shared, size: 24, gap: 4, space: 54, grid: { show: false }, ticks: { stroke: token("--line"), size: 4, width: 1 },
      ...(look.times === "clock" ? { incrs: MINUTES } : {}),
      values: timeText(look),
    },
    {
      ...shared, size: Y_AXIS_PX, gap: 6, space: 34, grid, ticks: { show: false },
      ...(look.scale === "log" ? { splits: logSplits, filter: (_plot: uPlot, splits: number[]) => splits } : { incrs: WHOLE_STEPS }),
      values: (_plot, splits) => splits.map(look.tick),
    },
  ];
}

export interface PlotInput {
  host: HTMLElement;
  lines: Line[];
  look: Look;
  bounds: () => [number, number];
  onHover: (index: number | null) => void;
}

/** Series as uPlot wants them; a log axis cannot show zero, so it is not drawn there. */
export function columnsOf(t: number[], lines: Line[], look: Look): uPlot.AlignedData {
  const drawn = (value: Cell): Cell => (look.scale === "log" && value !== null && value <= 0 ? null : value);
  return [t, ...lines.map((line) => line.values.map(drawn))];
}

export function makePlot({ host, lines, look, bounds, onHover }: PlotInput): uPlot {
  const options: uPlot.Options = {
    width: Math.max(1, host.clientWidth),
    height: Math.max(1, host.clientHeight),
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { setScale: false, x: false, y: false },
      points: { size: 7 },
      sync: { key: look.group },
    },
    scales: {
      x: { time: true, range: () => bounds() },
      y: look.scale === "log" ? { distr: 3, range: logRange } : { range: linearRange },
    },
    series: [{}, ...lines.map(seriesOf)],
    axes: axesOf(look),
    hooks: {
      setCursor: [(plot) => onHover(plot.cursor.idx ?? null)],
      draw: [(plot) => drawSmallBars(plot, lines)],
    },
  };
  const first: uPlot.AlignedData = [[], ...lines.map(() => [])];
  return new uPlot(options, first, host);
}
