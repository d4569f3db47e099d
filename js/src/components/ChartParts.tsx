/** The parts of a chart of one metric: what is drawn in it, dots on one scale, and the same as numbers. */
import { columnFormat, formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import { findColumn } from "../rows";
import type { State } from "../state";
import type { Runs, Series } from "../wire";
import { Mark } from "./kit";

/** One run in one chart. */
export interface Drawn {
  run_id: string;
  name: string;
  color: number;
  series: Series;
  last: number;
}

export interface Chart {
  key: string;
  better: "higher" | "lower" | null;
  drawn: Drawn[];
  curve: boolean;
}

export function charts(runs: Runs, series: readonly Series[]): Chart[] {
  const names = findColumn(runs, "attribute", "run_name")?.values ?? [];
  const byKey = new Map<string, Chart>();
  for (const one of series) {
    const row = runs.run_ids.indexOf(one.run_id);
    const last = toNumber(one.value[one.value.length - 1]);
    if (row < 0 || last === null) {
      continue;
    }
    const chart = byKey.get(one.key) ?? {
      key: one.key,
      better: findColumn(runs, "metric", one.key)?.better ?? null,
      drawn: [],
      curve: false,
    };
    chart.drawn.push({
      run_id: one.run_id,
      name: String(names[row] ?? ""),
      color: runs.colors[row] ?? 0,
      series: one,
      last,
    });
    chart.curve ||= one.count > 1;
    byKey.set(one.key, chart);
  }
  return [...byKey.values()];
}

/** Best first where the metric has a direction, else as the table has them. */
function ordered(chart: Chart): Drawn[] {
  if (chart.better === null) {
    return chart.drawn;
  }
  const sign = chart.better === "higher" ? -1 : 1;
  return [...chart.drawn].sort(
    (a, b) =>
      sign *
      ((Number.isNaN(a.last) ? -sign * Number.MAX_VALUE : a.last) -
        (Number.isNaN(b.last) ? -sign * Number.MAX_VALUE : b.last)),
  );
}

/** Where the scale of dots starts and ends: a little beyond the values, never past 1 for a share. */
export function dotRange(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) {
    return [0, 1];
  }
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const pad = high === low ? Math.abs(high) * 0.1 || 1 : (high - low) * 0.08;
  return [
    low >= 0 ? Math.max(0, low - pad) : low - pad,
    high <= 1 && high > 0 && low >= 0 ? Math.min(1, high + pad) : high + pad,
  ];
}

export function Dots({ chart, state }: { chart: Chart; state: State }) {
  const shown = ordered(chart);
  const [low, high] = dotRange(shown.map((one) => one.last));
  const format = columnFormat(
    shown.map((one) => one.last),
    false,
  );
  const at = (value: number): number => (high === low ? 50 : ((value - low) / (high - low)) * 100);
  return (
    <div class="nbt-dots" aria-hidden="true">
      {shown.map((one) => (
        <div
          key={one.run_id}
          class={`nbt-dot-row${state.current.value === one.run_id ? " nbt-current" : ""}`}
          title={`${one.name}: ${one.last}`}
        >
          <span class="nbt-dot-name">{one.name}</span>
          <span class="nbt-dot-track">
            {Number.isFinite(one.last) && (
              <span class="nbt-dot" style={{ left: `${at(one.last)}%` }}>
                <Mark color={one.color} />
              </span>
            )}
          </span>
          <span class="nbt-dot-value">{format(one.last)}</span>
        </div>
      ))}
      <div class="nbt-dot-row nbt-dot-axis">
        <span />
        <span class="nbt-dot-scale">
          <span>{formatNumber(Number(low.toPrecision(3)))}</span>
          <span>{formatNumber(Number(high.toPrecision(3)))}</span>
        </span>
        <span />
      </div>
    </div>
  );
}

/** The same as numbers: what a screen reader reads, and what the Table button shows. */
export function ChartTable({ chart, visible }: { chart: Chart; visible: boolean }) {
  return (
    <div class={visible ? "" : "nbt-hidden"}>
      <table class="nbt-chart-table">
        <caption>{trans.__("%1 by run", chart.key)}</caption>
        <thead>
          <tr>
            <th scope="col">{trans.__("run")}</th>
            <th scope="col">{chart.curve ? trans.__("last") : trans.__("value")}</th>
            {chart.curve && <th scope="col">{trans.__("min")}</th>}
            {chart.curve && <th scope="col">{trans.__("max")}</th>}
            {chart.curve && <th scope="col">{trans.__("points")}</th>}
          </tr>
        </thead>
        <tbody>
          {ordered(chart).map((one) => {
            const finite = one.series.value
              .map(toNumber)
              .filter((value): value is number => value !== null && Number.isFinite(value));
            return (
              <tr key={one.run_id}>
                <th scope="row">{one.name}</th>
                <td>{formatNumber(one.last)}</td>
                {chart.curve && <td>{finite.length > 0 ? formatNumber(Math.min(...finite)) : "–"}</td>}
                {chart.curve && <td>{finite.length > 0 ? formatNumber(Math.max(...finite)) : "–"}</td>}
                {chart.curve && <td>{one.series.count}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
