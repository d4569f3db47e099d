/** Curves as they are drawn: which line has which points on a common x. Pure. */
import type uPlot from "uplot";
import { toNumber } from "./format";
import type { Band, GetSeries, Series } from "./wire";

export type Axis = NonNullable<GetSeries["axis"]>;

/** How curves are looked at. */
export interface CurveView {
  axis: Axis;
  logX: boolean;
  logY: boolean;
  /** 0 to below 1. */
  smooth: number;
  /** A column by id whose values make groups; "" for each run by itself. */
  group: string;
  spread: "range" | "std";
}

export const PLAIN_VIEW: CurveView = { axis: "step", logX: false, logY: false, smooth: 0, group: "", spread: "range" };

/** One line of a chart: a run, or a group of runs with what its band is from and to. */
export interface Line {
  id: string;
  name: string;
  color: number;
  x: readonly number[];
  y: readonly (number | string | null)[];
  /** The raw values behind a smoothed line. */
  raw?: readonly (number | string | null)[] | undefined;
  low?: readonly (number | string | null)[] | undefined;
  high?: readonly (number | string | null)[] | undefined;
}

/** The x of a run's points. Relative time is ms since the curve began. */
export function xOf(series: Series, axis: Axis): number[] {
  if (axis === "step") {
    return series.step;
  }
  return axis === "time" ? series.time : series.time.map((at) => at - series.start);
}

export function lineOf(series: Series, name: string, color: number, axis: Axis): Line {
  const smooth = series.smooth ?? null;
  return {
    id: series.run_id,
    name,
    color,
    x: xOf(series, axis),
    y: smooth ?? series.value,
    raw: smooth === null ? undefined : series.value,
  };
}

export function bandLine(band: Band, color: number): Line {
  return { id: band.name, name: band.name, color, x: band.x, y: band.mean, low: band.low, high: band.high };
}

/** What each column of the drawn data belongs to, in their order after x. */
export interface Part {
  line: number;
  role: "raw" | "low" | "high" | "main";
}

export function partsOf(lines: readonly Line[]): Part[] {
  const parts: Part[] = [];
  lines.forEach((line, i) => {
    if (line.raw !== undefined) {
      parts.push({ line: i, role: "raw" });
    }
    if (line.low !== undefined) {
      parts.push({ line: i, role: "high" }, { line: i, role: "low" });
    }
  });
  lines.forEach((_, i) => {
    parts.push({ line: i, role: "main" });
  });
  return parts;
}

const drawable = (value: number | string | null | undefined, log: boolean): number | null => {
  const number = typeof value === "number" ? value : toNumber(value);
  return number !== null && Number.isFinite(number) && (!log || number > 0) ? number : null;
};

/**
 * The curves on the union of their x; where a line has no point it is left open (undefined), where its value cannot
 * be drawn it is broken (null).
 */
export function align(lines: readonly Line[], view: Pick<CurveView, "logX" | "logY">): uPlot.AlignedData {
  const same = lines.every((line) => sameArray(line.x, lines[0]?.x ?? []));
  const all = same ? [...(lines[0]?.x ?? [])] : unionOf(lines);
  const xs = view.logX ? all.filter((x) => x > 0) : all;
  const columns = partsOf(lines).map(({ line, role }) => {
    const one = lines[line];
    const values: (number | null | undefined)[] = new Array(xs.length).fill(undefined);
    const source = one === undefined ? undefined : role === "main" ? one.y : one[role];
    let at = 0;
    one?.x.forEach((x, i) => {
      if ((xs[at] ?? Number.POSITIVE_INFINITY) > x) {
        at = 0; // not in order, as no store tells it
      }
      while ((xs[at] ?? Number.POSITIVE_INFINITY) < x) {
        at += 1;
      }
      if (xs[at] === x) {
        values[at] = drawable(source?.[i], view.logY);
      }
    });
    return values;
  });
  return [xs, ...columns];
}

/** Each x that any line has, once, in order: twenty curves have tens of thousands. */
function unionOf(lines: readonly Line[]): number[] {
  const all = new Float64Array(lines.reduce((sum, line) => sum + line.x.length, 0));
  let at = 0;
  for (const { x } of lines) {
    all.set(x, at);
    at += x.length;
  }
  all.sort();
  return [...all.filter((x, i) => i === 0 || x !== all[i - 1])];
}

function sameArray(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) {
    return true;
  }
  if (a.length !== b.length) {
    return false;
  }
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) {
      return false;
    }
  }
  return true;
}
