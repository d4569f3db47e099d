/** Which rows and columns of a table are shown, and in which order. Pure. */
import { toNumber, type Value } from "./format";
import type { Column, Runs } from "./wire";

export interface SortKey {
  column: string;
  descending: boolean;
}

export type ColumnKind = Column["kind"] | "derived";

/** A column as the table shows it. */
export interface ShownColumn {
  id: string;
  kind: ColumnKind;
  key: string;
  values: readonly Value[];
  numeric: boolean;
  better: "higher" | "lower" | null;
}

export const columnId = (column: { kind: string; key: string }): string => `${column.kind}:${column.key}`;

const ORDER: readonly ColumnKind[] = ["metric", "param", "tag", "derived", "attribute"];
/** Attributes that the name column, its mark or the derived columns already say. */
const SAID: ReadonlySet<string> = new Set([
  "run_name",
  "status",
  "start_time",
  "end_time",
  "lifecycle_stage",
  "experiment_id",
  "run_id",
]);

export function findColumn(runs: Runs, kind: Column["kind"], key: string): Column | undefined {
  return runs.columns.find((column) => column.kind === kind && column.key === key);
}

const attribute = (runs: Runs, key: string): readonly Value[] => findColumn(runs, "attribute", key)?.values ?? [];

/** The columns beside the name: those in which runs differ, or all. Metrics always show: they are what is compared. */
export function shownColumns(runs: Runs, all: boolean): ShownColumn[] {
  const shown: ShownColumn[] = [];
  for (const column of runs.columns) {
    const internal = column.kind === "tag" && column.key.startsWith("nbtrack.");
    if ((column.kind === "attribute" && SAID.has(column.key)) || (internal && !all)) {
      continue;
    }
    if (all || column.varies || column.kind === "metric") {
      shown.push({
        id: columnId(column),
        kind: column.kind,
        key: column.key,
        values: column.values,
        numeric: column.numeric,
        better: column.better,
      });
    }
  }
  const start = attribute(runs, "start_time");
  const end = attribute(runs, "end_time");
  shown.push({
    id: "derived:start_time",
    kind: "derived",
    key: "start_time",
    values: start,
    numeric: true,
    better: null,
  });
  if (all) {
    const durations = start.map((from, i) => {
      const to = end[i];
      return typeof from === "number" && typeof to === "number" ? to - from : null;
    });
    shown.push({
      id: "derived:duration",
      kind: "derived",
      key: "duration",
      values: durations,
      numeric: true,
      better: null,
    });
  }
  return shown
    .map((column, index) => ({ column, index }))
    .sort((a, b) => ORDER.indexOf(a.column.kind) - ORDER.indexOf(b.column.kind) || a.index - b.index)
    .map(({ column }) => column);
}

/** Row -> the text that a filter looks in. */
function haystack(runs: Runs, row: number): string {
  const parts: string[] = [];
  for (const column of runs.columns) {
    const value = column.values[row];
    if (value !== null && value !== undefined && column.key !== "start_time" && column.key !== "end_time") {
      parts.push(`${column.key}=${value}`, String(value));
    }
  }
  return parts.join("\n").toLowerCase();
}

const haystacks = new WeakMap<Runs, string[]>();

interface Comparison {
  key: string;
  operator: string;
  value: number;
}

const COMPARISON = /^([^<>=!]+)(<=|>=|<|>)(-?[\d.]+(?:e[-+]?\d+)?)$/i;

/** Rows that fit a filter of words (all must occur) and comparisons such as `accuracy>0.9`. */
export function filterRows(runs: Runs, filter: string): number[] {
  const rows = runs.run_ids.map((_, row) => row);
  const words: string[] = [];
  const comparisons: Comparison[] = [];
  for (const word of filter.trim().toLowerCase().split(/\s+/)) {
    const [, key, operator, value] = COMPARISON.exec(word) ?? [];
    if (key !== undefined && operator !== undefined && value !== undefined) {
      comparisons.push({ key: key.replace(/^(metrics|params|tags|attributes)\./, ""), operator, value: Number(value) });
    } else if (word !== "") {
      words.push(word);
    }
  }
  if (words.length === 0 && comparisons.length === 0) {
    return rows;
  }
  let texts = haystacks.get(runs);
  if (texts === undefined && words.length > 0) {
    texts = rows.map((row) => haystack(runs, row));
    haystacks.set(runs, texts);
  }
  return rows.filter(
    (row) =>
      words.every((word) => texts?.[row]?.includes(word) === true) &&
      comparisons.every((comparison) => fits(runs, row, comparison)),
  );
}

function fits(runs: Runs, row: number, { key, operator, value }: Comparison): boolean {
  return runs.columns.some((column) => {
    if (column.key.toLowerCase() !== key) {
      return false;
    }
    const number = toNumber(column.values[row]);
    if (number === null) {
      return false;
    }
    switch (operator) {
      case "<":
        return number < value;
      case ">":
        return number > value;
      case "<=":
        return number <= value;
      default:
        return number >= value;
    }
  });
}

/** Rows in order of several keys; rows without a value come last either way, and equal rows stay as they were. */
export function sortRows(rows: readonly number[], columns: readonly ShownColumn[], keys: readonly SortKey[]): number[] {
  const by = keys.flatMap(({ column, descending }) => {
    const found = columns.find((one) => one.id === column);
    return found === undefined ? [] : [{ column: found, descending }];
  });
  return [...rows].sort((a, b) => {
    for (const { column, descending } of by) {
      const order = compareValues(column.values[a], column.values[b], column.numeric, descending);
      if (order !== 0) {
        return order;
      }
    }
    return 0;
  });
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

function compareValues(a: Value, b: Value, numeric: boolean, descending: boolean): number {
  const [x, y] = numeric ? [toNumber(a), toNumber(b)] : [a ?? null, b ?? null];
  const noX = x === null || Number.isNaN(x);
  const noY = y === null || Number.isNaN(y);
  if (noX || noY) {
    return Number(noX) - Number(noY);
  }
  const order =
    typeof x === "number" && typeof y === "number" ? Math.sign(x - y) : collator.compare(String(x), String(y));
  return descending ? -order : order;
}

/** The rows with the best value of a metric; none if its direction is unknown, or if all runs are equally good. */
export function bestRows(column: ShownColumn, rows: readonly number[]): ReadonlySet<number> {
  const best = new Set<number>();
  if (column.better === null || rows.length < 2) {
    return best;
  }
  let top: number | null = null;
  let count = 0;
  for (const row of rows) {
    const value = toNumber(column.values[row]);
    if (value === null || Number.isNaN(value)) {
      continue;
    }
    count += 1;
    if (top === null || (column.better === "higher" ? value > top : value < top)) {
      top = value;
      best.clear();
    }
    if (value === top) {
      best.add(row);
    }
  }
  return best.size === count ? new Set() : best;
}

/** What a click on a header does to the order: best first, then the other way, then off; with `add` beside other keys. */
export function nextSort(keys: readonly SortKey[], column: ShownColumn, add: boolean): SortKey[] {
  const first = column.better === "higher" || column.key === "start_time";
  const known = keys.find((key) => key.column === column.id);
  const changed: SortKey[] =
    known === undefined
      ? [{ column: column.id, descending: first }]
      : known.descending === first
        ? [{ column: column.id, descending: !first }]
        : [];
  if (!add) {
    return changed;
  }
  const index = keys.findIndex((key) => key.column === column.id);
  return index < 0 ? [...keys, ...changed] : [...keys.slice(0, index), ...changed, ...keys.slice(index + 1)];
}
