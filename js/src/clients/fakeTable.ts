/** How the store in memory reads filters and orders: enough of the language of `search_runs` for tests. */
import { CallError } from "../client";
import type { ArtifactContent, Column } from "../wire";

export interface FakeRun {
  run_id: string;
  run_name: string;
  status?: string;
  start_time?: number;
  end_time?: number | null;
  params?: Record<string, string>;
  metrics?: Record<string, number | number[]>;
  tags?: Record<string, string>;
  logged?: boolean;
  deleted?: boolean;
  capture?: Record<string, unknown>;
  files?: Record<string, Partial<ArtifactContent>>;
}

export const better = (key: string): "higher" | "lower" | null =>
  /acc|f1|auc|score|r2/.test(key) ? "higher" : /loss|rmse|error/.test(key) ? "lower" : null;

export const lastOf = (value: number | number[]): number =>
  Array.isArray(value) ? (value[value.length - 1] ?? Number.NaN) : value;

export const said = (value: number): number | string =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";

export function column(kind: Column["kind"], key: string, values: Column["values"]): Column {
  const present = values.filter((value) => value !== null);
  return {
    kind,
    key,
    values,
    varies: values.some((value) => value !== values[0]),
    numeric:
      present.length > 0 &&
      present.every((value) => typeof value === "number" || !Number.isNaN(Number(value)) || value === "NaN"),
    better: kind === "metric" ? better(key) : null,
  };
}

/** Whether a column is among those asked for by their names in `search_runs`. */
export function isAsked(one: Column, asked: readonly string[]): boolean {
  return one.kind === "attribute" || asked.some((field) => field.replace(/`/g, "") === `${one.kind}s.${one.key}`);
}

/** Enough of the language of `search_runs` for tests: comparisons, LIKE, AND, OR, one level of brackets. */
export function fits(run: FakeRun, filter: string): boolean {
  const text = filter.trim().replace(/^\((.*)\)$/s, (all, inner: string) => (/^[^()]*$/.test(inner) ? inner : all));
  if (text === "") {
    return true;
  }
  const parts = text.split(/ AND (?![^(]*\))/);
  if (parts.length > 1) {
    return parts.every((part) => fits(run, part));
  }
  const either = text.split(" OR ");
  if (either.length > 1) {
    return either.some((part) => fits(run, part));
  }
  const found = /^(?:(metric|param|tag)s\.`?([^`<>= ]+)`?|(\w+))\s*(<=|>=|!=|=|<|>|I?LIKE)\s*(.+)$/i.exec(text);
  if (found === null) {
    throw new CallError({ code: "invalid", message: `filter: this cannot be read at character 1: '⟨here⟩${text}'.` });
  }
  const [, kind, key = "", attribute, operator = "", raw = ""] = found;
  const held = kind === "metric" ? run.metrics?.[key] : kind === "param" ? run.params?.[key] : run.tags?.[key];
  const value = attribute === undefined ? held : attribute === "status" ? (run.status ?? "FINISHED") : run.run_name;
  const wanted = raw
    .trim()
    .replace(/^'(.*)'$/s, "$1")
    .replace(/''/g, "'");
  if (value === undefined) {
    return false;
  }
  const left = Array.isArray(value) ? lastOf(value) : value;
  switch (operator.toUpperCase()) {
    case "LIKE":
    case "ILIKE":
      return String(left).toLowerCase().includes(wanted.replace(/%/g, "").toLowerCase());
    case "=":
      return String(left) === wanted;
    case "!=":
      return String(left) !== wanted;
    case "<":
      return Number(left) < Number(wanted);
    case "<=":
      return Number(left) <= Number(wanted);
    case ">":
      return Number(left) > Number(wanted);
    default:
      return Number(left) >= Number(wanted);
  }
}

export function sorted(runs: FakeRun[], order_by: readonly string[]): FakeRun[] {
  const [first] = order_by;
  const [, kind, key = "", way] = /^(?:number\()?(\w+)s\.`?([^`)]+?)`?\)? (ASC|DESC)$/.exec(first ?? "") ?? [];
  if (kind === undefined) {
    return runs;
  }
  const value = (run: FakeRun): number => {
    const held = kind === "metric" ? run.metrics?.[key] : run.params?.[key];
    return Number(Array.isArray(held) ? lastOf(held) : held);
  };
  return [...runs].sort((a, b) => (way === "DESC" ? value(b) - value(a) : value(a) - value(b)));
}
