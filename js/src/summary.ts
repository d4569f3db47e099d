/** What a report says in words: which model, how good, since when. Pure. */
import { formatNumber, formatTime, toNumber } from "./format";
import { trans } from "./i18n";
import { findColumn } from "./rows";
import type { History, Model, Runs, Version } from "./wire";

/** One metric of a version, against the version that stood in the same place before. */
export interface Quality {
  key: string;
  value: number;
  better: "higher" | "lower" | null;
  before: number | null;
}

/** Where a version stands, since when, and by whose word. */
export interface Standing {
  model: Model;
  version: Version;
  since: number | null;
  user: string;
  note: string;
  quality: Quality[];
}

type Directions = ReadonlyMap<string, "higher" | "lower" | null>;

/** Which way each metric gets better, as the table of runs knows it. */
export function directions(runs: Runs): Directions {
  return new Map(runs.columns.filter((one) => one.kind === "metric").map((one) => [one.key, one.better]));
}

/** Metrics whose better way is known come first; more than three tell a reader nothing. */
function qualities(version: Version, before: Version | undefined, known: Directions): Quality[] {
  return Object.entries(version.metrics)
    .flatMap(([key, value]) => {
      const number = toNumber(value);
      const former = before === undefined ? null : toNumber(before.metrics[key]);
      return number === null || !Number.isFinite(number)
        ? []
        : [{ key, value: number, better: known.get(key) ?? null, before: former }];
    })
    .sort((a, b) => Number(a.better === null) - Number(b.better === null))
    .slice(0, 3);
}

/** The versions that stand in a stage, those in the highest stage first. */
export function standings(
  model: Model,
  stages: readonly string[],
  history: History | undefined,
  known: Directions,
): Standing[] {
  const rank = (version: Version): number => stages.indexOf(version.stage);
  return model.versions
    .filter((version) => version.stage !== "None" && version.stage !== "Archived")
    .sort((a, b) => rank(b) - rank(a))
    .map((version) => {
      const moved = history?.commits.find((commit) =>
        commit.changes.some((change) => change.version === version.version && change.after === version.stage),
      );
      const former = moved?.changes.find(
        (change) => change.before === version.stage && change.version !== version.version,
      );
      const before = model.versions.find((one) => one.version === former?.version);
      return {
        model,
        version,
        since: moved?.at ?? null,
        user: moved?.user ?? version.user,
        note: moved?.note ?? "",
        quality: qualities(version, before, known),
      };
    });
}

const said = (value: number): string => formatNumber(value);

/** One metric as a sentence. */
export function qualityText({ key, value, better, before }: Quality): string {
  if (before === null || before === value) {
    return before === value
      ? trans.__("Its %1 is %2, the same as that of the version before.", key, said(value))
      : trans.__("Its %1 is %2.", key, said(value));
  }
  if (better === null) {
    return trans.__("Its %1 is %2; that of the version before was %3.", key, said(value), said(before));
  }
  return value > before === (better === "higher")
    ? trans.__("Its %1 is %2, better than the %3 of the version before.", key, said(value), said(before))
    : trans.__("Its %1 is %2, worse than the %3 of the version before.", key, said(value), said(before));
}

/** Where a version stands, as a sentence. */
export function standingText({ model, version, since, user }: Standing): string {
  if (since === null) {
    return trans.__("%1 is in %2 with version %3.", model.name, version.stage, version.version);
  }
  const parts = [model.name, version.stage, version.version, formatTime(since)];
  return user === ""
    ? trans.__("%1 is in %2 with version %3 since %4.", ...parts)
    : trans.__("%1 is in %2 with version %3 since %4, moved there by %5.", ...parts, user);
}

/** The best run of all, as a sentence; "" if no metric tells which way is better. */
export function bestText(runs: Runs): string {
  const measured = (column: Runs["columns"][number]): number =>
    column.values.filter((value) => Number.isFinite(toNumber(value) ?? Number.NaN)).length;
  // The one that most runs have: what one run alone measured says nothing of the others.
  const [metric] = runs.columns
    .filter((one) => one.kind === "metric" && one.better !== null)
    .sort((a, b) => measured(b) - measured(a));
  const names = findColumn(runs, "attribute", "run_name")?.values ?? [];
  let best: { value: number; row: number } | null = null;
  let count = 0;
  for (const [row, cell] of (metric?.values ?? []).entries()) {
    const value = toNumber(cell);
    if (value !== null && Number.isFinite(value)) {
      count += 1;
      if (best === null || (metric?.better === "higher" ? value > best.value : value < best.value)) {
        best = { value, row };
      }
    }
  }
  if (best === null || metric === undefined) {
    return "";
  }
  const way = metric.better === "higher" ? trans.__("highest") : trans.__("lowest");
  const name = String(names[best.row] ?? "");
  return count === 1
    ? trans.__("One run was measured: %1, with %2 %3.", name, metric.key, said(best.value))
    : trans.__("Of %1 runs, %2 has the %3 %4: %5.", count, name, way, metric.key, said(best.value));
}
