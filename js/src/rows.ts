/** Which rows and columns of a table are shown, and in which order. Pure. */
import { toNumber, type Value } from "./format";
import { type Layout, ordered, PLAIN } from "./layout";
import { type Comparison, parseWords } from "./query";
import type { Column, Runs } from "./wire";

export interface SortKey {
  column: string;
  descending: boolean;
}

/** `derived`: made of attributes; `delta`: a metric against the baseline; `curve`: a metric as a small picture. */
export type ColumnKind = Column["kind"] | "derived" | "delta" | "curve";

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

export const NAME_ID = "attribute:run_name";
/** Where a run lies; only runs of several stores have it. */
const STORE_ID = "attribute:store";
export const NOTE_ID = "tag:nbtrack.note";

/** A column that fewer than one run in so many has is rare. */
const RARE = 5;
const ORDER: readonly ColumnKind[] = ["metric", "curve", "param", "tag", "derived", "attribute"];
/** Attributes that the name column, its mark or the derived columns already say. */
const SAID: ReadonlySet<string> = new Set([
  "run_name",
  "status",
  "start_time",
  "end_time",
  "lifecycle_stage",
  "run_id",
]);

export function findColumn(runs: Runs, kind: Column["kind"], key: string): Column | undefined {
  return runs.columns.find((column) => column.kind === kind && column.key === key);
}

const places = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

/** Where each run stands; looked at once as long as the ids are the same. */
export function placesOf(run_ids: readonly string[]): ReadonlyMap<string, number> {
  const known = places.get(run_ids) ?? new Map(run_ids.map((id, row) => [id, row]));
  places.set(run_ids, known);
  return known;
}

const attribute = (runs: Runs, key: string): readonly Value[] => findColumn(runs, "attribute", key)?.values ?? [];

export function nameColumn(runs: Runs): ShownColumn {
  const values = attribute(runs, "run_name");
  return { id: NAME_ID, kind: "attribute", key: "run_name", values, numeric: false, better: null };
}

const derived = (key: string, values: readonly Value[]): ShownColumn => ({
  id: `derived:${key}`,
  kind: "derived",
  key,
  values,
  numeric: true,
  better: null,
});

const durations = new WeakMap<readonly Value[], { start: readonly Value[]; found: readonly Value[] }>();

/** How long each run took; null while it runs. The same list as long as the times are the same. */
function durationsOf(start: readonly Value[], end: readonly Value[]): readonly Value[] {
  const known = durations.get(end);
  if (known?.start === start) {
    return known.found;
  }
  const found = start.map((from, i) => {
    const to = end[i];
    return typeof from === "number" && typeof to === "number" ? to - from : null;
  });
  durations.set(end, { start, found });
  return found;
}

interface Candidate extends ShownColumn {
  /** Whether it is shown unless the user says otherwise. */
  usual: boolean;
}

const rarities = new WeakMap<readonly Value[], boolean>();

/** Whether few of the runs at hand have a value: such a column stands behind the others of its kind. */
function isRare(values: readonly Value[]): boolean {
  const known = rarities.get(values);
  if (known !== undefined) {
    return known;
  }
  const there = values.filter((value) => value !== null && value !== undefined).length;
  const rare = there > 0 && there * RARE < values.length;
  rarities.set(values, rare);
  return rare;
}

/** Everything that could be shown beside the name, in its own order. */
export function candidates(runs: Runs, layout: Layout = PLAIN): Candidate[] {
  const found: Candidate[] = [];
  for (const column of runs.columns) {
    if (column.kind === "attribute" && SAID.has(column.key)) {
      continue;
    }
    const id = columnId(column);
    const internal = column.kind === "tag" && column.key.startsWith("nbtrack.") && id !== NOTE_ID;
    found.push({ ...column, id, usual: (column.varies && !internal) || column.kind === "metric" });
  }
  const known = new Set(found.map((column) => column.id));
  for (const id of layout.added) {
    const [kind = "", ...rest] = id.split(":");
    const key = rest.join(":");
    const base = key.replace(/^\w+\(metrics\.`?(.*?)`?(,.*)?\)$/, "$1");
    const better = findColumn(runs, "metric", base)?.better ?? null;
    if (kind === "curve") {
      found.push({ id, kind, key, values: [], numeric: false, better, usual: false });
    } else if (kind === "metric" && !known.has(id)) {
      found.push({ id, kind, key, values: [], numeric: true, better, usual: false }); // its values are on their way
    }
  }
  const start = attribute(runs, "start_time");
  const end = attribute(runs, "end_time");
  found.push(
    { ...derived("start_time", start), usual: true },
    { ...derived("duration", durationsOf(start, end)), usual: false },
  );
  // Of a large table only some rows are at hand, and its store has put what is rare last.
  const rank = (column: Candidate): number =>
    column.id === STORE_ID ? -1 : 2 * ORDER.indexOf(column.kind) + (runs.whole && isRare(column.values) ? 1 : 0);
  return found
    .map((column, index) => ({ column, index, rank: rank(column) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .map(({ column }) => column);
}

/** The columns beside the name: those in which runs differ, or all. Metrics always show: they are what is compared. */
export function shownColumns(
  runs: Runs,
  all: boolean,
  layout: Layout = PLAIN,
  baseline: Baseline = null,
): ShownColumn[] {
  const hidden = new Set(layout.hidden);
  const added = new Set(layout.added);
  const shown = candidates(runs, layout).filter(
    (column) => !hidden.has(column.id) && (all || column.usual || added.has(column.id)),
  );
  return ordered(shown, layout.order).flatMap((column) => {
    const delta = column.kind === "metric" && baseline !== null ? deltaColumn(column, baseline) : null;
    return delta === null ? [column] : [column, delta];
  });
}

/** What the run that others are shown against has in a column. */
export type Baseline = ((id: string) => Value) | null;

function deltaColumn(column: ShownColumn, baseline: NonNullable<Baseline>): ShownColumn | null {
  const base = toNumber(baseline(column.id));
  if (base === null || Number.isNaN(base)) {
    return null;
  }
  const values = column.values.map((value) => {
    const number = toNumber(value);
    return number === null || Number.isNaN(number) ? null : number - base;
  });
  return { id: `delta:${column.key}`, kind: "delta", key: column.key, values, numeric: true, better: column.better };
}

/** Row -> the text that a filter looks in. */
function haystack(runs: Runs, row: number): string {
  const parts: string[] = [];
  for (const column of runs.columns) {
    const value = column.values[row];
    if (value !== null && value !== undefined && column.key !== "start_time" && column.key !== "end_time") {
      parts.push(`${column.key}=${value}`);
    }
  }
  return parts.join("\n").toLowerCase();
}

const haystacks = new WeakMap<Runs, string[]>();

/** Let `after` look for words in the texts of `before`, with new ones for the rows that `changed`; `from` says which. */
export function keepTexts(before: Runs, after: Runs, from: readonly number[] | null, changed: readonly number[]): void {
  const known = haystacks.get(before);
  if (known !== undefined) {
    const texts = from === null ? [...known] : from.map((old) => known[old] ?? "");
    for (const row of changed) {
      texts[row] = haystack(after, row);
    }
    haystacks.set(after, texts);
  }
}

/** Rows that fit a filter of words (all must occur) and comparisons such as `accuracy>0.9`. */
export function filterRows(runs: Runs, filter: string): number[] {
  const rows = runs.run_ids.map((_, row) => row);
  const { words, comparisons } = parseWords(filter);
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

/** Rows in order of several keys; rows without a value come last either way, and equal rows in the order of the store. */
export function sortRows(rows: readonly number[], columns: readonly ShownColumn[], keys: readonly SortKey[]): number[] {
  const known = keys.flatMap((key) => {
    const column = columns.find((one) => one.id === key.column);
    return column === undefined ? [] : [{ column, descending: key.descending }];
  });
  if (known.length === 0) {
    return [...rows];
  }
  return [...rows].sort((a, b) => {
    for (const { column, descending } of known) {
      const order = compareValues(column.values[a], column.values[b], column.numeric, descending);
      if (order !== 0) {
        return order;
      }
    }
    return a - b;
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

type Better = ShownColumn["better"];
const bests = new WeakMap<readonly Value[], { rows: readonly number[]; better: Better; found: ReadonlySet<number> }>();

/** The rows with the best value of a metric; none if its direction is unknown, or if all runs are equally good. */
export function bestRows(column: ShownColumn, rows: readonly number[]): ReadonlySet<number> {
  if (column.better === null || column.kind !== "metric" || rows.length < 2) {
    return new Set();
  }
  const known = bests.get(column.values);
  if (known?.rows === rows && known.better === column.better) {
    return known.found;
  }
  const found = bestOf(column, rows);
  bests.set(column.values, { rows, better: column.better, found });
  return found;
}

function bestOf(column: ShownColumn, rows: readonly number[]): ReadonlySet<number> {
  const best = new Set<number>();
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
  if (column.kind === "curve") {
    return [...keys]; // a picture has no order
  }
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
