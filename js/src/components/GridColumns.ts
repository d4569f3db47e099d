/** How each column of the grid is named, written and how wide it is. */
import { useMemo } from "preact/hooks";
import { columnFormat, formatAgo, formatDuration, formatTime, type Value } from "../format";
import { trans } from "../i18n";
import { findColumn, type ShownColumn } from "../rows";
import type { Runs } from "../wire";

export function groupName(kind: ShownColumn["kind"]): string {
  switch (kind) {
    case "metric":
      return trans.__("Metrics");
    case "param":
      return trans.__("Params");
    case "tag":
      return trans.__("Tags");
    default:
      return trans.__("Run");
  }
}

export function label(column: ShownColumn): string {
  switch (column.id) {
    case "derived:start_time":
      return trans.__("started");
    case "derived:duration":
      return trans.__("duration");
    default:
      return column.key;
  }
}

type Format = (value: Value) => string;

function formatFor(column: ShownColumn): Format {
  switch (column.id) {
    case "derived:start_time":
      return (value) => (typeof value === "number" ? formatAgo(value) : "");
    case "derived:duration":
      return (value) => (typeof value === "number" ? formatDuration(value) : "");
    default:
      return columnFormat(column.values, column.kind !== "metric");
  }
}

export function titleOf(column: ShownColumn, value: Value): string | undefined {
  if (value === null || value === undefined) {
    return undefined;
  }
  return column.id === "derived:start_time" && typeof value === "number"
    ? formatTime(value)
    : `${label(column)}: ${value}`;
}

/** The width of a column in `ch`: what its longest text needs, within reason. */
function widthOf(column: ShownColumn, format: Format): number {
  let longest = label(column).length + 2;
  const step = Math.max(1, Math.floor(column.values.length / 200)); // a sample is enough for a width
  for (let row = 0; row < column.values.length; row += step) {
    longest = Math.max(longest, format(column.values[row]).length + (column.better === null ? 0 : 2));
  }
  return Math.min(Math.max(longest, 6), 24);
}

export interface GridColumns {
  /** The name first, then what is shown beside it. */
  columns: ShownColumn[];
  formats: Format[];
  widths: string[];
}

export function useColumns(runs: Runs, shown: ShownColumn[]): GridColumns {
  return useMemo(() => {
    const values = findColumn(runs, "attribute", "run_name")?.values ?? [];
    const name: ShownColumn = {
      id: "attribute:run_name",
      kind: "attribute",
      key: "run_name",
      values,
      numeric: false,
      better: null,
    };
    const columns = [name, ...shown];
    const formats = columns.map(formatFor);
    const widths = columns.map((column, i) =>
      i === 0 ? "var(--nbt-name-width)" : `calc(${widthOf(column, formats[i] ?? String)}ch + 20px)`,
    );
    return { columns, formats, widths };
  }, [runs, shown]);
}
