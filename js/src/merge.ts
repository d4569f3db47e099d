/** What changed in a table, put into the table at hand. Pure. */
import { byName } from "./format";
import { columnId, keepTexts, placesOf } from "./rows";
import type { Column, Runs } from "./wire";

type Cell = Column["values"][number];

const KINDS: readonly Column["kind"][] = ["attribute", "param", "metric", "tag"];
/** A text that is no number for sure, in any language. */
const NO_NUMBER = /^[A-HJ-MO-Za-hj-mo-z]/;

/** Where each row of the new order was; -1 for a new one. */
function origins(before: Runs, order: readonly string[]): number[] {
  const place = placesOf(before.run_ids);
  return order.map((id) => place.get(id) ?? -1);
}

/** Whether a column can be sorted as numbers now; null if only the store can tell. `lost`: old values went. */
function isNumeric(
  had: Column | undefined,
  news: Column | undefined,
  values: readonly Cell[],
  lost: boolean,
): boolean | null {
  const isThere = (value: Cell): boolean => value !== null;
  if (!values.some(isThere)) {
    return false;
  }
  if (had?.numeric === false && had.values.some(isThere)) {
    const isText = values.some((value) => typeof value === "string" && NO_NUMBER.test(value));
    return lost && !isText ? null : false; // perhaps the one that was no number went
  }
  return news?.values.some(isThere) !== true || news.numeric;
}

/** Attributes first, then each kind by key, then what was computed: the order in which a store tells columns. */
function inOrder(columns: Column[], also: ReadonlySet<string>): Column[] {
  const rank = (column: Column): number =>
    column.kind === "metric" && also.has(column.key) ? KINDS.length : KINDS.indexOf(column.kind);
  return columns
    .map((column, at) => ({ column, at, rank: rank(column) }))
    .sort((a, b) => {
      const named = a.rank > 0 && a.rank < KINDS.length && a.column.key !== b.column.key;
      return a.rank - b.rank || (named ? byName(a.column.key, b.column.key) : a.at - b.at);
    })
    .map(({ column }) => column);
}

/**
 * The table as a store would now tell it in whole: `before` with `change`, in which computed columns have the keys
 * `also`. A column in which nothing is another stays the same object. Null if it takes the whole answer.
 */
export function merged(before: Runs, change: Runs, also: ReadonlySet<string>): Runs | null {
  const order = change.changed?.order ?? null;
  const moved = order?.length !== before.run_ids.length || order.some((id, row) => id !== before.run_ids[row]);
  const run_ids = order !== null && moved ? order : before.run_ids;
  const from = run_ids === before.run_ids ? null : origins(before, run_ids);
  const place = placesOf(run_ids);
  const rows = change.run_ids.map((id) => place.get(id) ?? -1);
  if (rows.includes(-1) || from?.some((old, row) => old < 0 && !rows.includes(row))) {
    return null;
  }
  const gone = order !== null && before.run_ids.some((id) => !place.has(id));
  const old = new Map(before.columns.map((column) => [columnId(column), column]));
  const told = new Map(change.columns.map((column) => [columnId(column), column]));
  const columns: Column[] = [];
  for (const id of new Set([...old.keys(), ...told.keys()])) {
    const [had, news] = [old.get(id), told.get(id)];
    const about = (news ?? had) as Column;
    const kept: Cell[] =
      had === undefined
        ? run_ids.map(() => null)
        : from === null
          ? had.values
          : from.map((row) => had.values[row] ?? null);
    let values = kept;
    let same = had !== undefined && from === null;
    let overwritten = false;
    for (const [i, row] of rows.entries()) {
      const now = news?.values[i] ?? null;
      if (kept[row] === now) {
        continue;
      }
      overwritten ||= (kept[row] ?? null) !== null;
      if (values === kept) {
        values = [...kept];
      }
      values[row] = now;
      same = false;
    }
    if (same && had !== undefined) {
      columns.push(had);
    } else if (about.kind === "attribute" || also.has(about.key) || values.some((value) => value !== null)) {
      const numeric = isNumeric(had, news, values, gone || overwritten);
      if (numeric === null) {
        return null;
      }
      columns.push({ ...about, values, varies: values.some((value) => value !== values[0]), numeric });
    }
  }
  const after = {
    ...before,
    run_ids,
    columns: inOrder(columns, also),
    colors: order === null ? before.colors : change.colors,
    total: order === null ? before.total : change.total,
    whole: order === null ? before.whole : change.whole,
    revision: change.revision,
  };
  keepTexts(before, after, from, rows);
  return after;
}
