/** Metrics of the chosen runs: curves over steps where there are several, dots on one scale where there is one value. */
import { useMemo, useState } from "preact/hooks";
import type { Client } from "../client";
import { bandLine, type CurveView, type Line, lineOf, PLAIN_VIEW } from "../curves";
import { columnFormat, formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { findColumn } from "../rows";
import type { State } from "../state";
import type { AnyRequest, Band, GetSeries, Runs, Series } from "../wire";
import { Curve, type Zoom } from "./Curve";
import { CurveTools } from "./CurveTools";
import { ErrorBanner } from "./ErrorBanner";
import { ExportButtons, exported } from "./Figure";
import { Button, Loading, Mark, useCall } from "./kit";

/** More runs than this in one chart tell nobody anything. */
const MOST_RUNS = 24;
const MOST_CHARTS = 12;

/** One run in one chart. */
export interface Drawn {
  run_id: string;
  name: string;
  color: number;
  series: Series;
  last: number;
}

interface Chart {
  key: string;
  better: "higher" | "lower" | null;
  drawn: Drawn[];
  curve: boolean;
}

function charts(runs: Runs, series: readonly Series[]): Chart[] {
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

function Dots({ chart, state }: { chart: Chart; state: State }) {
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
function ChartTable({ chart, visible }: { chart: Chart; visible: boolean }) {
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
                <td>{formatNumber(Number(one.last.toPrecision(4)))}</td>
                {chart.curve && (
                  <td>{finite.length > 0 ? formatNumber(Number(Math.min(...finite).toPrecision(4))) : "–"}</td>
                )}
                {chart.curve && (
                  <td>{finite.length > 0 ? formatNumber(Number(Math.max(...finite).toPrecision(4))) : "–"}</td>
                )}
                {chart.curve && <td>{one.series.count}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** How the series of a view are asked for; a plain view asks no more than what a widget brings along. */
function seriesRequest(ids: string[], keys: string[], view: CurveView, zoom: Zoom | null): GetSeries {
  return {
    op: "series",
    run_ids: ids,
    keys,
    ...(view.axis === "step" ? {} : { axis: view.axis }),
    ...(view.smooth > 0 ? { smooth: view.smooth } : {}),
    ...(zoom === null ? {} : { low: zoom[0], high: zoom[1] }),
  };
}

/** Run ids by the value of the grouping column, in the order in which the values are met. */
export function groupsOf(runs: Runs, ids: readonly string[], column: string): Record<string, string[]> {
  const [kind, key] = [column.slice(0, column.indexOf(":")), column.slice(column.indexOf(":") + 1)];
  const values = runs.columns.find((one) => one.kind === kind && one.key === key)?.values ?? [];
  const groups: Record<string, string[]> = {};
  for (const id of ids) {
    const value = values[runs.run_ids.indexOf(id)] ?? null;
    const name = `${key} = ${value === null ? trans.__("none") : String(value)}`;
    const members = groups[name] ?? [];
    groups[name] = members;
    members.push(id);
  }
  return groups;
}

interface CardProps {
  chart: Chart;
  state: State;
  client: Client;
  view: CurveView;
  groups: Record<string, string[]> | null;
  bands: readonly Band[];
}

/** The lines of a chart: those that all charts asked for, or finer ones where it is zoomed in. */
function useLines({ chart, client, state, view, groups, bands }: CardProps, zoom: Zoom | null): readonly Line[] {
  const ids = chart.drawn.map((one) => one.run_id);
  let request: AnyRequest | null = null;
  if (zoom !== null && chart.curve) {
    const [low, high] = zoom;
    request =
      groups === null
        ? seriesRequest(ids, [chart.key], view, zoom)
        : { op: "bands", groups, keys: [chart.key], spread: view.spread, axis: view.axis, low, high };
  }
  const finer = useCall(client, request, state.revision.value).answer as { series?: Series[]; bands?: Band[] } | null;
  return useMemo(() => {
    if (groups !== null) {
      const shown = (zoom === null ? null : finer?.bands) ?? bands.filter((one) => one.key === chart.key);
      return shown.map((one) => bandLine(one, Object.keys(groups).indexOf(one.name)));
    }
    const zoomed = zoom === null ? undefined : finer?.series;
    return chart.drawn.map((one) => {
      const series = zoomed?.find((found) => found.run_id === one.run_id && found.key === chart.key) ?? one.series;
      return lineOf(series, one.name, one.color, view.axis);
    });
  }, [chart, zoom, finer, view, groups, bands]);
}

function ChartCard(props: CardProps) {
  const { chart, state, client, view } = props;
  const [table, setTable] = useState(false);
  const [zoom, setZoom] = useState<Zoom | null>(null);
  const lines = useLines(props, zoom);
  const hint =
    chart.better === "higher"
      ? trans.__("↑ higher is better")
      : chart.better === "lower"
        ? trans.__("↓ lower is better")
        : "";
  const save = async (kind: "png" | "svg" | "html"): Promise<void> => {
    const run_ids = chart.drawn.map((one) => one.run_id);
    const figure = await client.call({ op: "figure", kind: "curves", run_ids, metric: chart.key });
    await exported(kind, client, { ...figure, title: chart.key }, null);
  };
  return (
    <figure class="nbt-chart" data-nbt="chart" data-key={chart.key}>
      <figcaption>
        <span class="nbt-chart-title" title={chart.key}>
          {chart.key}
        </span>
        <span class="nbt-chart-hint">{hint}</span>
        {zoom !== null && (
          <Button name="zoom-out" kind="quiet" label={trans.__("Whole curve")} onClick={() => setZoom(null)} />
        )}
        {client.saved !== true && <ExportButtons state={state} save={save} />}
        <Button
          name="chart-table"
          kind="quiet"
          pressed={table}
          label={trans.__("Table")}
          onClick={() => setTable(!table)}
        />
      </figcaption>
      {chart.curve ? (
        <Curve
          title={chart.key}
          lines={lines}
          view={view}
          current={state.current.value}
          sync={syncKey(state)}
          zoom={zoom}
          onZoom={setZoom}
        />
      ) : (
        <Dots chart={chart} state={state} />
      )}
      {chart.curve && (
        <ul class="nbt-legend" aria-hidden="true">
          {lines.map((one) => (
            <li key={one.id} class={state.current.value === one.id ? "nbt-current" : ""}>
              <Mark color={one.color} />
              <span>{one.name}</span>
            </li>
          ))}
        </ul>
      )}
      <ChartTable chart={chart} visible={table} />
    </figure>
  );
}

/** Charts of one view show the same place under the cursor; those of another view do not. */
const syncKeys = new WeakMap<State, string>();
let views = 0;
function syncKey(state: State): string {
  let key = syncKeys.get(state);
  if (key === undefined) {
    views += 1;
    key = `nbtrack-${views}`;
    syncKeys.set(state, key);
  }
  return key;
}

/** The runs that are drawn: the marked ones, in the order of the table. */
export function drawnRuns(state: State): string[] {
  const runs = state.runs.value;
  if (runs === null) {
    return [];
  }
  return state.rows.value.flatMap((row) => {
    const id = runs.run_ids[row];
    return id !== undefined && state.selected.value.has(id) ? [id] : [];
  });
}

interface ChartsProps extends ViewProps {
  runs: Runs;
  /** The runs that are drawn, by id. */
  shown: readonly string[];
}

/** The metrics of some runs, a chart each. */
export function Charts({ client, state, runs, shown }: ChartsProps) {
  const [view, setView] = useState<CurveView>(PLAIN_VIEW);
  const keys = useMemo(
    () => runs.columns.filter((column) => column.kind === "metric").map((column) => column.key),
    [runs],
  );
  const ids = useMemo(() => shown.slice(0, MOST_RUNS), [shown]);
  const groups = useMemo(
    () => (view.group === "" ? null : groupsOf(runs, shown, view.group)),
    [view.group, runs, shown],
  );
  const request =
    ids.length > 0 && keys.length > 0 ? seriesRequest([...ids], keys.slice(0, MOST_CHARTS), view, null) : null;
  const { answer, failure } = useCall(client, request, state.revision.value);
  const grouped = useCall(
    client,
    groups === null || request === null
      ? null
      : { op: "bands", groups, keys: keys.slice(0, MOST_CHARTS), spread: view.spread, axis: view.axis },
    state.revision.value,
  );
  const drawn = useMemo(() => {
    const chosen = new Set(ids);
    return answer === null
      ? []
      : charts(
          runs,
          answer.series.filter((one) => chosen.has(one.run_id)),
        );
  }, [runs, answer, ids]);
  if (keys.length === 0) {
    return (
      <p class="nbt-note">
        {trans.__('These runs have no metrics. Log one with nbtrack.log_metric("accuracy", value).')}
      </p>
    );
  }
  if (request === null) {
    return <p class="nbt-note">{trans.__("Choose runs in the table to draw their metrics.")}</p>;
  }
  if (failure !== null && answer === null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer === null) {
    return <Loading label={trans.__("Reading metrics…")} />;
  }
  return (
    <div class="nbt-curves">
      {drawn.some((chart) => chart.curve) && client.saved !== true && (
        <CurveTools runs={runs} view={view} change={setView} />
      )}
      {grouped.failure !== null && <ErrorBanner failure={grouped.failure} retry={state.refresh} />}
      <div class="nbt-charts">
        {drawn.map((chart) => (
          <ChartCard
            key={chart.key}
            chart={chart}
            state={state}
            client={client}
            view={view}
            groups={groups}
            bands={grouped.answer?.bands ?? []}
          />
        ))}
        {shown.length > MOST_RUNS && (
          <p class="nbt-note">{trans.__("The first %1 of %2 chosen runs are drawn.", MOST_RUNS, shown.length)}</p>
        )}
        {keys.length > MOST_CHARTS && (
          <p class="nbt-note">{trans.__("The first %1 of %2 metrics are drawn.", MOST_CHARTS, keys.length)}</p>
        )}
      </div>
    </div>
  );
}

/** The metrics of the runs that are marked in the table. */
export function MetricChart({ client, state }: ViewProps) {
  const here = state.runs.value;
  const large = here !== null && !here.whole;
  // Of a large table only what is in sight is at hand: the marked runs are asked for by their ids.
  const marked = large ? [...state.selected.value].slice(0, MOST_RUNS) : [];
  const asked = marked.length > 0 ? ({ op: "runs", run_ids: marked, limit: MOST_RUNS } as const) : null;
  const told = useCall(client, asked, state.revision.value).answer;
  const runs = large ? told : here;
  const shown = useMemo(
    () => (large ? [...(told?.run_ids ?? [])] : drawnRuns(state)),
    [runs, state.rows.value, state.selected.value],
  );
  return runs === null || runs.run_ids.length === 0 ? null : (
    <Charts client={client} state={state} runs={runs} shown={shown} />
  );
}

export const mount = mounter(MetricChart, {});
