/** How the store in memory reads filters and orders: enough of the language of `search_runs` for tests. */
import { CallError } from "../client";
import type { Answers, ArtifactContent, Column, GroupRuns, ListRuns, Runs } from "../wire";

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

/** Runs as columns; `now` is when those began that do not say. */
export function tableOf(runs: readonly FakeRun[], all: readonly FakeRun[], now: number, revision: string): Runs {
  const columns: Column[] = [
    column(
      "attribute",
      "run_name",
      runs.map((run) => run.run_name),
    ),
    column(
      "attribute",
      "status",
      runs.map((run) => run.status ?? "FINISHED"),
    ),
    column(
      "attribute",
      "start_time",
      runs.map((run) => run.start_time ?? now),
    ),
    column(
      "attribute",
      "end_time",
      runs.map((run) => (run.end_time === undefined ? (run.start_time ?? now) + 1400 : run.end_time)),
    ),
  ];
  for (const kind of ["params", "metrics", "tags"] as const) {
    const keys = [...new Set(runs.flatMap((run) => Object.keys(run[kind] ?? {})))].sort();
    for (const key of keys) {
      const values = runs.map((run) => {
        const value = run[kind]?.[key];
        return value === undefined ? null : typeof value === "string" ? value : said(lastOf(value));
      });
      columns.push(column(kind.slice(0, -1) as Column["kind"], key, values));
    }
  }
  return {
    run_ids: runs.map((run) => run.run_id),
    columns,
    colors: runs.map((run) => all.indexOf(run) % 8),
    total: runs.length,
    revision: revision,
    offset: 0,
    whole: true,
    changed: null,
  };
}

/** One page of a table, or of one too large only its columns. `runOf` finds a run by its id. */
export function listed(all: Runs, request: ListRuns, runOf: (run_id: string) => FakeRun): Runs {
  const { max_cells = 0, limit = 1000, offset = 0, columns = null, also = [] } = request;
  const asked = [...(columns ?? []), ...also].filter((one) => one.endsWith(")"));
  const computed = asked.map((key) => {
    const [, how = "", name = ""] = /^(\w+)\(metrics\.`?(.*?)`?\)$/.exec(key) ?? [];
    const best = how === "min" ? Math.min : Math.max;
    const values = all.run_ids.map((id) => {
      const value = runOf(id).metrics?.[name];
      return value === undefined ? null : best(...(Array.isArray(value) ? value : [value]));
    });
    return { ...column("metric", key, values), better: better(name) };
  });
  const told = columns === null ? all.columns : all.columns.filter((one) => isAsked(one, columns));
  const wide = [...told, ...computed];
  if (max_cells > 0 && (all.total > limit || all.total * wide.length > max_cells)) {
    const columns = wide.filter((one) => one.kind !== "attribute").map((one) => ({ ...one, values: [] }));
    return { ...all, run_ids: [], columns, colors: [], whole: false };
  }
  const end = offset + limit;
  return {
    ...all,
    run_ids: all.run_ids.slice(offset, end),
    colors: all.colors.slice(offset, end),
    columns: wide.map((one) => ({ ...one, values: one.values.slice(offset, end) })),
    offset,
    whole: offset === 0 && all.total <= limit,
  };
}

export function grouped(all: Runs, { by, metrics }: GroupRuns): Answers["groups"] {
  const values = all.columns.find((one) => isAsked(one, [by]) && one.kind !== "attribute")?.values ?? [];
  const different = [...new Set(values)];
  const groups = different.map((value) => {
    const rows = values.flatMap((one, row) => (one === value ? [row] : []));
    return {
      value,
      count: rows.length,
      metrics: metrics.map((metric) => {
        const column = all.columns.find((one) => isAsked(one, [metric]) && one.kind === "metric");
        const numbers = rows.map((row) => Number(column?.values[row]));
        const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
        return { count: numbers.length, mean, min: Math.min(...numbers), max: Math.max(...numbers) };
      }),
    };
  });
  return { groups, total: groups.length, revision: all.revision };
}
