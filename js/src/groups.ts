/** Rows put together by the values of one column. Pure. */
import { toNumber, type Value } from "./format";
import type { ShownColumn } from "./rows";
import type { Groups } from "./wire";

/** A number over the runs of a group. */
export interface Spread {
  count: number;
  mean: number;
  min: number;
  max: number;
}

export interface GroupRow {
  /** Tells groups of one table apart. */
  id: string;
  value: Value;
  count: number;
  /** Indexes into the runs; empty where the store did the grouping. */
  rows: number[];
  /** Column id -> what its numbers are like. */
  spreads: Map<string, Spread>;
}

/** What one row of the grid shows: a run (its index), or the head of a group. */
export type Item = { run: number } | { group: GroupRow; open: boolean };

function spreadOf(column: ShownColumn, rows: readonly number[]): Spread | null {
  let [count, sum, min, max] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const row of rows) {
    const value = toNumber(column.values[row]);
    if (value !== null && !Number.isNaN(value)) {
      count += 1;
      sum += value;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
  }
  return count === 0 ? null : { count, mean: sum / count, min, max };
}

const groupId = (value: Value): string => JSON.stringify(value ?? null);

/** Groups in the order in which their first runs stand. */
export function groupRows(rows: readonly number[], by: ShownColumn, columns: readonly ShownColumn[]): GroupRow[] {
  const groups = new Map<string, GroupRow>();
  for (const row of rows) {
    const value = by.values[row];
    const id = groupId(value);
    const group = groups.get(id) ?? { id, value, count: 0, rows: [], spreads: new Map<string, Spread>() };
    group.rows.push(row);
    group.count += 1;
    groups.set(id, group);
  }
  for (const group of groups.values()) {
    for (const column of columns) {
      const spread = column.kind === "metric" || column.kind === "delta" ? spreadOf(column, group.rows) : null;
      if (spread !== null) {
        group.spreads.set(column.id, spread);
      }
    }
  }
  return [...groups.values()];
}

/** The same of what a store said; `metrics` are the ids of the columns that were asked about. */
export function groupsOf(answer: Groups, metrics: readonly string[]): GroupRow[] {
  return answer.groups.map((group) => {
    const spreads = new Map<string, Spread>();
    group.metrics.forEach((one, i) => {
      const [mean, min, max] = [toNumber(one.mean), toNumber(one.min), toNumber(one.max)];
      const id = metrics[i];
      if (id !== undefined && mean !== null && min !== null && max !== null) {
        spreads.set(id, { count: one.count, mean, min, max });
      }
    });
    return { id: groupId(group.value), value: group.value, count: group.count, rows: [], spreads };
  });
}

/** The rows of a grid: heads of groups, and below those that are open their runs. */
export function itemsOf(groups: readonly GroupRow[], open: ReadonlySet<string>): Item[] {
  return groups.flatMap((group): Item[] => {
    const shown = open.has(group.id);
    return [{ group, open: shown }, ...(shown ? group.rows.map((run) => ({ run })) : [])];
  });
}
