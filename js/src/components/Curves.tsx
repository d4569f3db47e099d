/** Metric curves as small pictures in the table, fetched for the rows in sight alone. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Client } from "../client";
import { toNumber } from "../format";
import { trans } from "../i18n";

const POINTS = 40;
const [WIDTH, HEIGHT] = [84, 18];

export type Curves = ReadonlyMap<string, readonly number[]>;

export const curveKey = (run_id: string, key: string): string => `${run_id}/${key}`;

/** The curves of some runs; those of finished runs are asked for once. */
export function useCurves(
  client: Client,
  runs: readonly { run_id: string; live: boolean }[],
  keys: readonly string[],
  revision: number,
): Curves {
  const [curves, setCurves] = useState<Curves>(new Map());
  const had = useRef(new Map<string, number>()).current;
  const wanted = keys.map((key) => ({
    key,
    run_ids: runs.flatMap(({ run_id, live }) => {
      const at = had.get(curveKey(run_id, key));
      return at === undefined || (live && at !== revision) ? [run_id] : [];
    }),
  }));
  const missing = JSON.stringify(wanted.filter((one) => one.run_ids.length > 0));
  useEffect(() => {
    for (const { key, run_ids } of JSON.parse(missing) as typeof wanted) {
      for (const run_id of run_ids) {
        had.set(curveKey(run_id, key), revision);
      }
      client.call({ op: "series", run_ids, keys: [key], max_points: POINTS }).then(
        ({ series }) =>
          setCurves((before) => {
            const next = new Map(before);
            for (const one of series) {
              const points = one.value.map((value) => toNumber(value) ?? Number.NaN).filter(Number.isFinite);
              next.set(curveKey(one.run_id, key), points);
            }
            return next;
          }),
        () => undefined, // a table without its small pictures is still a table
      );
    }
  }, [client, missing]);
  return curves;
}

/** One curve, scaled to itself: its shape is what it tells. */
export function RowCurve({ points, label }: { points: readonly number[] | undefined; label: string }) {
  if (points === undefined || points.length < 2) {
    return <span class="nbt-none">–</span>;
  }
  const low = Math.min(...points);
  const high = Math.max(...points);
  const scale = high > low ? (HEIGHT - 4) / (high - low) : 0;
  const path = points
    .map((value, i) => {
      const x = 1 + (i * (WIDTH - 4)) / (points.length - 1);
      const y = high > low ? HEIGHT - 2 - (value - low) * scale : HEIGHT / 2;
      return `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
  const [first, last] = [points[0] ?? 0, points[points.length - 1] ?? 0];
  const way = last > first ? trans.__("rises") : last < first ? trans.__("falls") : trans.__("stays");
  return (
    <svg class="nbt-row-curve" width={WIDTH} height={HEIGHT} role="img" aria-label={`${label}: ${way}`}>
      <path d={path} fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" />
    </svg>
  );
}
