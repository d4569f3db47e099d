/** The runs of one cell, told by what changed from one to the next. Pure. */
import { toNumber, type Value } from "./format";
import { columnId } from "./rows";
import type { Column, Runs } from "./wire";

const CODE_ID = "tag:nbtrack.code";

/** What differs between a run and the one before it. */
export interface Step {
  run_id: string;
  row: number;
  /** The cell reads otherwise. */
  code: boolean;
  /** Params with their values before and now. */
  params: { key: string; before: Value; now: Value }[];
  /** Runs right before it (older, and below it) in which nothing had changed: id and index. */
  again: { run_id: string; row: number }[];
  first: boolean;
}

/** Runs newest first -> one step a change; runs in which nothing changed are put together with the newest of them. */
export function steps(runs: Runs): Step[] {
  const code = runs.columns.find((column) => columnId(column) === CODE_ID);
  const params = runs.columns.filter((column) => column.kind === "param" && column.varies);
  const found: Step[] = [];
  let newest: Step | null = null;
  runs.run_ids.forEach((run_id, row) => {
    if (newest === null) {
      newest = { run_id, row, code: false, params: [], again: [], first: false };
      found.push(newest);
    }
    const older = row + 1 < runs.run_ids.length ? row + 1 : null;
    const changed =
      older === null
        ? []
        : params.flatMap(({ key, values }) => {
            const [before, now] = [values[older] ?? null, values[row] ?? null];
            return before === now ? [] : [{ key, before, now }];
          });
    const coded = older !== null && code !== undefined && code.values[older] !== code.values[row];
    if (newest.run_id !== run_id) {
      newest.again.push({ run_id, row });
    }
    if (older === null || coded || changed.length > 0) {
      newest.code = coded;
      newest.params = changed;
      newest.first = older === null;
      newest = null;
    }
  });
  return found;
}

/** The metric by which the runs of a cell are judged: the first whose direction is known, else the first. */
export function mainMetric(runs: Runs): Column | null {
  const metrics = runs.columns.filter((column) => column.kind === "metric");
  return metrics.find((column) => column.better !== null) ?? metrics[0] ?? null;
}

/** Its values, oldest run first, without those that are no number. */
export function course(metric: Column): number[] {
  return [...metric.values].reverse().flatMap((value) => {
    const number = toNumber(value);
    return number === null || !Number.isFinite(number) ? [] : [number];
  });
}
