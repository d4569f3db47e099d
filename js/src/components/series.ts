/** Asks for curves, and of those at hand only again for what may be longer by now. */
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Client, failureOf } from "../client";
import { findColumn, placesOf } from "../rows";
import type { Failure, GetSeries, Runs, Series } from "../wire";
import type { Chart } from "./ChartParts";
import { onRevision } from "./kit";

interface Held {
  /** The question without its runs, and what the table said of the run. */
  about: string;
  sign: string;
  series: readonly Series[];
}

/** What the table says of a run: a curve of one that has ended is the same as long as this is; null while it runs. */
function signOf(runs: Runs, row: number, keys: readonly string[]): string | null {
  const status = findColumn(runs, "attribute", "status")?.values[row];
  const end = findColumn(runs, "attribute", "end_time")?.values[row];
  if (status === undefined || status === "RUNNING") {
    return null;
  }
  return JSON.stringify([status, end, keys.map((key) => findColumn(runs, "metric", key)?.values[row] ?? null)]);
}

const isSame = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i]);

/** The old object where a curve is as it was: what is drawn of it stays. */
function sameOrNew(old: readonly Series[], fresh: readonly Series[]): Series[] {
  return fresh.map((one) => {
    const before = old.find((known) => known.key === one.key);
    const same = before?.count === one.count && isSame(before.value, one.value) && isSame(before.time, one.time);
    return same && before !== undefined ? before : one;
  });
}

export interface Asked {
  series: readonly Series[] | null;
  failure: Failure | null;
}

/** The curves that `request` asks for, in its order; those of runs that have ended are asked for once. */
export function useSeries(
  client: Client,
  runs: Runs,
  request: GetSeries | null,
  revision: number | ReadonlySignal<number>,
): Asked {
  const held = useRef(new Map<string, Held>()).current;
  const [asked, setAsked] = useState<Asked>({ series: null, failure: null });
  const key = request === null ? "" : JSON.stringify(request);
  const signs = useMemo(() => {
    const place = placesOf(runs.run_ids);
    return request?.run_ids.map((id) => signOf(runs, place.get(id) ?? -1, request.keys)) ?? [];
  }, [runs, key]);
  useEffect(() => {
    if (request === null) {
      return;
    }
    const { run_ids, ...rest } = request;
    const about = JSON.stringify(rest);
    const isHeld = (id: string, i: number): boolean => {
      const known = held.get(id);
      return known?.about === about && known.sign === signs[i];
    };
    const tell = (): void => {
      const series = run_ids.flatMap((id) => held.get(id)?.series ?? []);
      setAsked((before) =>
        before.failure === null && before.series !== null && isSame(before.series, series)
          ? before
          : { series, failure: null },
      );
    };
    const hold = (asked: readonly string[], found: readonly Series[]): void => {
      for (const [i, id] of run_ids.entries()) {
        if (asked.includes(id)) {
          const old = held.get(id);
          const mine = found.filter((one) => one.run_id === id);
          const series = sameOrNew(old?.about === about ? old.series : [], mine);
          held.set(id, { about, sign: signs[i] ?? "", series });
        }
      }
      for (const id of [...held.keys()].filter((id) => !run_ids.includes(id))) {
        held.delete(id);
      }
      tell();
    };
    return onRevision(revision, (isWanted) => {
      const missing = run_ids.filter((id, i) => !isHeld(id, i));
      if (missing.length === 0) {
        tell();
        return;
      }
      client.call({ ...request, run_ids: missing }).then(
        ({ series }) => isWanted() && hold(missing, series),
        (error: unknown) => isWanted() && setAsked((before) => ({ ...before, failure: failureOf(error) })),
      );
    });
  }, [client, key, revision, JSON.stringify(signs)]);
  return asked;
}

/** `charts`, with the old object for each that would be drawn as before. */
export function useSame(charts: readonly Chart[]): readonly Chart[] {
  const known = useRef(new Map<string, Chart>());
  return useMemo(() => {
    const same = (a: Chart, b: Chart): boolean =>
      a.better === b.better &&
      a.curve === b.curve &&
      a.drawn.length === b.drawn.length &&
      a.drawn.every((one, i) => {
        const other = b.drawn[i];
        return other?.series === one.series && other.name === one.name && other.color === one.color;
      });
    const kept = charts.map((chart) => {
      const before = known.current.get(chart.key);
      return before !== undefined && same(before, chart) ? before : chart;
    });
    known.current = new Map(kept.map((chart) => [chart.key, chart]));
    return kept;
  }, [charts]);
}
