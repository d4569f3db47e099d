/** What is brushed on the axes of parallel coordinates -> the language of `search_runs`. Pure. */
import { quoted } from "./query";

/** One axis, as `nbtrack.plots` tells it in the figure's `layout.meta`. */
export interface BrushAxis {
  id: string;
  label: string;
  log: boolean;
  categories: string[];
}

export type Range = readonly [number, number];

const KINDS: Readonly<Record<string, string>> = {
  param: "params",
  metric: "metrics",
  tag: "tags",
  attribute: "attributes",
};

/** A column by id, as a filter names it; null if it cannot. */
function field(axis: BrushAxis): string | null {
  const colon = axis.id.indexOf(":");
  const [kind, key] = [KINDS[axis.id.slice(0, colon)], axis.id.slice(colon + 1)];
  if (kind === undefined || key.includes("`")) {
    return null;
  }
  const name = `${kind}.\`${key}\``;
  return axis.categories.length === 0 && (kind === "params" || kind === "tags") ? `number(${name})` : name;
}

/** A number written so that it reads back the same; ranges reach a hair beyond what the hand meant. */
const written = (value: number): string => String(Number(value.toPrecision(12)));

function rangeQuery(axis: BrushAxis, name: string, [from, to]: Range): string {
  const [low, high] = axis.log ? [10 ** from, 10 ** to] : [from, to];
  const unit = axis.id === "attribute:duration" ? 1000 : 1; // drawn in seconds, stored in ms
  return `${name} >= ${written(low * unit)} AND ${name} <= ${written(high * unit)}`;
}

/** The query of ranges brushed on axes: any range of an axis may fit, on every axis. "" if nothing is brushed. */
export function brushQuery(brushed: readonly { axis: BrushAxis; ranges: readonly Range[] }[]): string {
  const parts: string[] = [];
  for (const { axis, ranges } of brushed) {
    const name = field(axis);
    if (name === null || ranges.length === 0) {
      continue;
    }
    if (axis.categories.length > 0) {
      const chosen = axis.categories.filter((_, i) => ranges.some(([from, to]) => i >= from && i <= to));
      parts.push(`${name} IN (${chosen.map(quoted).join(", ") || "''"})`);
    } else {
      const any = ranges.map((range) => rangeQuery(axis, name, range));
      parts.push(any.length === 1 ? (any[0] ?? "") : `(${any.map((one) => `(${one})`).join(" OR ")})`);
    }
  }
  return parts.join(" AND ");
}
