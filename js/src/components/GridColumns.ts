/** How each column of the grid is named, written, how wide it is, and which of them are in sight. */
import { useMemo, useRef } from "preact/hooks";
import { columnFormat, formatAgo, formatDelta, formatDuration, formatTime, type Value } from "../format";
import { trans } from "../i18n";
import { NOTE_ID, nameColumn, type ShownColumn } from "../rows";
import type { Runs } from "../wire";

export function groupName(kind: ShownColumn["kind"]): string {
  switch (kind) {
    case "metric":
    case "delta":
    case "curve":
      return trans.__("Metrics");
    case "param":
      return trans.__("Params");
    case "tag":
      return trans.__("Tags");
    default:
      return trans.__("Run");
  }
}

/** `min(metrics.loss)` -> `min loss`, as it fits above a column. */
const computed = (key: string): string =>
  key.replace(/^(\w+)\(metrics\.`?(.*?)`?(?:, metrics\.`?(.*?)`?)?\)$/, (_, how: string, of: string, by?: string) =>
    by === undefined ? `${how} ${of}` : `${of} @ ${by}`,
  );

export function label(column: Pick<ShownColumn, "id" | "kind" | "key">): string {
  switch (column.id) {
    case "derived:start_time":
      return trans.__("started");
    case "derived:duration":
      return trans.__("duration");
    case "attribute:user_id":
      return trans.__("user");
    case NOTE_ID:
      return trans.__("note");
  }
  if (column.kind === "delta") {
    return `Δ ${computed(column.key)}`;
  }
  return column.kind === "metric" ? computed(column.key) : column.key;
}

type Format = (value: Value) => string;

export function formatFor(column: ShownColumn): Format {
  switch (column.id) {
    case "derived:start_time": {
      const now = Date.now();
      return (value) => (typeof value === "number" ? formatAgo(value, now) : "");
    }
    case "derived:duration":
      return (value) => (typeof value === "number" ? formatDuration(value) : "");
  }
  if (column.kind === "delta") {
    return (value) => formatDelta(value, 0, column.better)?.text ?? "";
  }
  return columnFormat(column.values, column.kind !== "metric");
}

export function titleOf(column: ShownColumn, value: Value): string | undefined {
  if (value === null || value === undefined) {
    return undefined;
  }
  return column.id === "derived:start_time" && typeof value === "number"
    ? formatTime(value)
    : `${label(column)}: ${value}`;
}

const CHARACTER_PX = 7;
const PADDING_PX = 22;
const MOST_CHARACTERS = 24;
const CURVE_PX = 104;
export const LEAST_PX = 44;

/** The width of a column in pixels: what its longest text needs, within reason. */
function widthOf(column: ShownColumn, format: Format): number {
  if (column.kind === "curve") {
    return CURVE_PX;
  }
  let longest = Math.ceil(label(column).length * 0.95) + 2;
  const step = Math.max(1, Math.floor(column.values.length / 200)); // a sample is enough for a width
  for (let row = 0; row < column.values.length; row += step) {
    longest = Math.max(longest, format(column.values[row]).length + (column.better === null ? 0 : 3));
  }
  return Math.min(Math.max(longest, 6), MOST_CHARACTERS) * CHARACTER_PX + PADDING_PX;
}

interface Measured {
  id: string;
  at: number;
  format: Format;
  width: number;
}

/** How long a text such as "3 minutes ago" may stand. */
const AGO_MS = 20_000;

const measures = new WeakMap<readonly Value[], Measured>();
const unseen = new Map<string, Measured>();

/** How a column is written and how wide it is; looked at once as long as its values are the same. */
function measured(column: ShownColumn): Measured {
  const isEmpty = column.values.length === 0; // of a large table, most columns are out of sight
  const before = isEmpty ? unseen.get(column.id) : measures.get(column.values);
  const isOld = column.id === "derived:start_time" && Date.now() - (before?.at ?? 0) > AGO_MS;
  if (before?.id === column.id && !isOld) {
    return before;
  }
  const format = formatFor(column);
  const found = { id: column.id, at: Date.now(), format, width: widthOf(column, format) };
  if (isEmpty) {
    unseen.set(column.id, found);
  } else {
    measures.set(column.values, found);
  }
  return found;
}

export interface GridColumns {
  /** The name first, then what is shown beside it. */
  columns: ShownColumn[];
  formats: Format[];
  /** In pixels, and where each begins. */
  widths: number[];
  lefts: number[];
  total: number;
}

const nameWidth = (frame: number): number => Math.max(128, Math.min(240, Math.round(frame * 0.28)));

export function useColumns(
  runs: Runs,
  shown: ShownColumn[],
  chosen: Readonly<Record<string, number>>,
  frame: number,
): GridColumns {
  // A column may grow while values come in, but it never shrinks under the reader's eyes.
  const known = useRef(new Map<string, number>()).current;
  const parts = useMemo(() => {
    const columns = [nameColumn(runs), ...shown];
    const formats = columns.map((column) => {
      const { format, width } = measured(column);
      known.set(column.id, Math.max(known.get(column.id) ?? 0, width));
      return format;
    });
    return { columns, formats };
  }, [runs, shown]);
  return useMemo(() => {
    const widths = parts.columns.map(
      (column, i) => chosen[column.id] ?? (i === 0 ? nameWidth(frame) : (known.get(column.id) ?? LEAST_PX)),
    );
    const lefts: number[] = [];
    let total = 0;
    for (const width of widths) {
      lefts.push(total);
      total += width;
    }
    return { ...parts, widths, lefts, total };
  }, [parts, chosen, frame]);
}

const SPARE_PX = 160;
const STEP_COLUMNS = 4;

/** The columns beside the name that are in sight: from the first up to, but without, the last. */
export function inSight({ columns, widths, lefts }: GridColumns, left: number, width: number): [number, number] {
  const name = widths[0] ?? 0;
  let first = 1;
  while (first < columns.length && (lefts[first] ?? 0) + (widths[first] ?? 0) < left + name - SPARE_PX) {
    first += 1;
  }
  let last = first;
  while (last < columns.length && (lefts[last] ?? 0) < left + width + SPARE_PX) {
    last += 1;
  }
  // In steps: else every row is drawn anew for each column that comes into sight.
  first -= (first - 1) % STEP_COLUMNS;
  last += (STEP_COLUMNS - ((last - 1) % STEP_COLUMNS)) % STEP_COLUMNS;
  return [first, Math.min(last, columns.length)];
}
