/** One metric as curves, drawn by uPlot in the colours of the page; new points join without a flicker. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { align, type CurveView, type Line, type Part, partsOf } from "../curves";
import { colorOf, formatDuration, formatNumber, shapeOf } from "../format";
import { trans } from "../i18n";
import { onTheme } from "../theme";

const HEIGHT_PX = 190;
const DASHES: readonly number[][] = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

/** Lines of one chart that share a colour are told apart by their dash; where none do, all are whole. */
function dashOf(lines: readonly Line[], line: number): number[] {
  const mine = colorOf(lines[line]?.color ?? 0);
  const before = lines.slice(0, line).filter((one) => colorOf(one.color) === mine).length;
  return DASHES[before % DASHES.length] ?? [];
}

/** The shape of each line at its end, so that curves are told apart without colour. */
function endMarks(lines: readonly Line[], parts: readonly Part[]): (plot: uPlot) => void {
  return (plot) => {
    const ratio = uPlot.pxRatio;
    const { left, top, width, height } = plot.bbox;
    parts.forEach(({ line, role }, i) => {
      const one = lines[line];
      const values = plot.data[i + 1];
      const steps = plot.data[0];
      if (role !== "main" || one === undefined || values === undefined) {
        return;
      }
      let last = values.length - 1;
      while (last >= 0 && (values[last] === null || values[last] === undefined)) {
        last -= 1;
      }
      const [x, y] = [steps[last], values[last]];
      if (x === undefined || y === null || y === undefined) {
        return;
      }
      const [px, py] = [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)];
      if (px < left - 1 || px > left + width + 1 || py < top - 1 || py > top + height + 1) {
        return;
      }
      const { ctx } = plot;
      ctx.save();
      ctx.translate(px - 5 * ratio, py - 5 * ratio);
      ctx.scale((10 / 12) * ratio, (10 / 12) * ratio);
      ctx.fillStyle = colorOf(one.color);
      ctx.fill(new Path2D(shapeOf(one.color)));
      ctx.restore();
    });
  };
}

const faded = (color: string, part: number): string =>
  `${color}${Math.round(part * 255)
    .toString(16)
    .padStart(2, "0")}`;

function seriesOf(lines: readonly Line[], parts: readonly Part[], current: string | null): uPlot.Series[] {
  const known = lines.some((line) => line.id === current);
  return parts.map(({ line, role }) => {
    const one = lines[line];
    const color = colorOf(one?.color ?? 0);
    if (one === undefined || role !== "main") {
      // the raw values behind a smoothed line, and the borders of a band
      const stroke = role === "raw" ? faded(color, 0.3) : "transparent";
      return { stroke, width: 1, points: { show: false }, spanGaps: false };
    }
    return {
      label: one.name,
      stroke: color,
      width: one.id === current ? 2.5 : 1.5,
      dash: dashOf(lines, line),
      alpha: known && one.id !== current ? 0.45 : 1,
      spanGaps: false,
      points: { show: one.x.length < 2 },
    };
  });
}

function bandsOf(lines: readonly Line[], parts: readonly Part[]): uPlot.Band[] {
  return parts.flatMap(({ line, role }, i) =>
    role === "high"
      ? [{ series: [i + 1, i + 2] as [number, number], fill: faded(colorOf(lines[line]?.color ?? 0), 0.18) }]
      : [],
  );
}

export function xText(view: Pick<CurveView, "axis">, x: number): string {
  switch (view.axis) {
    case "time":
      return new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" }).format(x);
    case "relative":
      return formatDuration(x);
    default:
      return trans.__("step %1", formatNumber(Number(x.toPrecision(12))));
  }
}

interface Drawing {
  lines: readonly Line[];
  view: CurveView;
  current: string | null;
  sync: string;
}

function options(host: HTMLElement, { lines, view, current, sync }: Drawing): uPlot.Options {
  const parts = partsOf(lines);
  const style = getComputedStyle(host);
  const text = style.getPropertyValue("--nbt-muted").trim() || style.color;
  const grid = style.getPropertyValue("--nbt-line").trim() || "rgba(128,128,128,0.2)";
  const axis: uPlot.Axis = {
    stroke: text,
    font: `11px ${style.fontFamily}`,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1, size: 4 },
  };
  const xAxis: uPlot.Axis = { ...axis, size: 26, space: 60 };
  if (view.axis !== "time") {
    xAxis.values = (_plot, splits) =>
      splits.map((value) =>
        value === null ? "" : view.axis === "relative" ? formatDuration(value) : formatNumber(value),
      );
  }
  return {
    ms: 1,
    width: Math.max(160, host.clientWidth),
    height: HEIGHT_PX,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: {
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      y: false,
      sync: { key: sync, scales: ["x", null], setSeries: false },
    },
    scales: { x: { time: view.axis === "time", distr: view.logX ? 3 : 1 }, y: { distr: view.logY ? 3 : 1 } },
    axes: [
      xAxis,
      {
        ...axis,
        size: 52,
        space: 34,
        values: (_plot, splits) =>
          splits.map((value) => (value === null ? "" : formatNumber(Number(value.toPrecision(6))))),
      },
    ],
    series: [{}, ...seriesOf(lines, parts, current)],
    bands: bandsOf(lines, parts),
    hooks: { draw: [endMarks(lines, parts)] },
  };
}

/** What stands at the cursor: the place and each line's value there, or the nearest before it. */
export function readoutText(data: uPlot.AlignedData, lines: readonly Line[], view: CurveView, index: number): string {
  const parts = partsOf(lines);
  const told = parts.flatMap(({ line, role }, i) => {
    const values = data[i + 1];
    const one = lines[line];
    if (role !== "main" || values === undefined || one === undefined) {
      return [];
    }
    let at = index;
    while (at >= 0 && values[at] === undefined) {
      at -= 1;
    }
    const value = values[at];
    return value === null || value === undefined ? [] : [`${one.name} ${formatNumber(Number(value.toPrecision(5)))}`];
  });
  const x = data[0][index];
  return x === undefined ? "" : `${xText(view, x)}  ·  ${told.slice(0, 6).join("  ·  ")}`;
}

export type Zoom = readonly [number, number];

interface Props extends Drawing {
  title: string;
  zoom: Zoom | null;
  onZoom: (zoom: Zoom | null) => void;
}

/** Keys: arrows move the cursor, + and − zoom around it, 0 or Escape shows everything. */
function keyed(event: KeyboardEvent, plot: uPlot, zoom: Zoom | null, onZoom: (zoom: Zoom | null) => void): boolean {
  const [xs, { min, max }] = [plot.data[0], plot.scales.x ?? {}];
  if (min === undefined || max === undefined || min === null || max === null || xs.length === 0) {
    return false;
  }
  const at = plot.cursor.idx ?? Math.floor(xs.length / 2);
  const step = event.shiftKey ? 10 : 1;
  switch (event.key) {
    case "ArrowLeft":
    case "ArrowRight": {
      const next = Math.max(0, Math.min(xs.length - 1, at + (event.key === "ArrowLeft" ? -step : step)));
      plot.setCursor({ left: plot.valToPos(xs[next] ?? min, "x"), top: plot.over.clientHeight / 2 });
      return true;
    }
    case "+":
    case "=":
    case "-": {
      const factor = event.key === "-" ? 2 : 0.5;
      const centre = Math.max(min, Math.min(max, xs[at] ?? (min + max) / 2));
      const [low, high] = [centre - (centre - min) * factor, centre + (max - centre) * factor];
      onZoom(high > low ? [low, high] : null);
      return true;
    }
    case "0":
    case "Escape":
      if (zoom === null) {
        return false;
      }
      onZoom(null);
      return true;
    default:
      return false;
  }
}

export function Curve({ title, lines, view, current, sync, zoom, onZoom }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useMemo(() => align(lines, view), [lines, view]);
  const now = useRef({ data, lines, view, zoom, onZoom });
  now.current = { data, lines, view, zoom, onZoom };
  // What makes another drawing; mere new points only go into the one that is there.
  const shape = JSON.stringify([
    lines.map((line) => [line.id, line.name, line.color, line.raw !== undefined, line.low !== undefined]),
    view,
    current,
  ]);
  useEffect(() => {
    const element = host.current;
    const text = box.current;
    if (element === null || text === null) {
      return;
    }
    const draw = (): void => {
      plot.current?.destroy();
      const made = options(element, { lines: now.current.lines, view, current, sync });
      const hooks: uPlot.Hooks.Arrays = {
        ...(made.hooks as uPlot.Hooks.Arrays),
        setCursor: [
          (self) => {
            const { idx, left } = self.cursor;
            const { lines: shown } = now.current;
            text.textContent =
              idx === null || idx === undefined || (left ?? -1) < 0 ? "" : readoutText(self.data, shown, view, idx);
          },
        ],
        setSelect: [
          (self) => {
            const { left, width } = self.select;
            if (width > 3) {
              now.current.onZoom([self.posToVal(left, "x"), self.posToVal(left + width, "x")]);
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            }
          },
        ],
      };
      plot.current = new uPlot({ ...made, hooks }, now.current.data, element);
      plot.current.over.addEventListener("dblclick", () => now.current.onZoom(null));
      if (now.current.zoom !== null) {
        plot.current.setScale("x", { min: now.current.zoom[0], max: now.current.zoom[1] });
      }
    };
    draw();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: Math.max(160, element.clientWidth), height: HEIGHT_PX }),
    );
    resized.observe(element);
    const untheme = onTheme(draw);
    return () => {
      resized.disconnect();
      untheme();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, sync]);
  useEffect(() => {
    const self = plot.current;
    if (self === null) {
      return;
    }
    self.batch(() => {
      if (self.data !== data) {
        self.setData(data, zoom === null);
      }
      if (zoom !== null) {
        self.setScale("x", { min: zoom[0], max: zoom[1] });
      }
    });
  }, [data, zoom]);
  return (
    <div
      class="nbt-curve"
      role="application"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a picture that keys can look into
      tabIndex={0}
      data-nbt="curve"
      data-zoomed={zoom !== null}
      data-lm-suppress-shortcuts="true"
      aria-label={trans.__("%1 as curves. Arrow keys move along, plus and minus zoom, 0 shows everything.", title)}
      onKeyDown={(event) => {
        if (plot.current !== null && keyed(event, plot.current, zoom, onZoom)) {
          event.preventDefault();
          event.stopPropagation();
        }
      }}
    >
      <div ref={host} data-title={title} aria-hidden="true" />
      <div class="nbt-readout" ref={box} aria-live="off" />
    </div>
  );
}
