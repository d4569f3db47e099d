/** Metrics of the chosen runs: curves over steps where there are several, dots on one scale where there is one value. */
import { useMemo, useState } from "preact/hooks";
import type { Client } from "../client";
import { bandLine, type CurveView, type Line, lineOf, PLAIN_VIEW } from "../curves";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { State } from "../state";
import type { Band, GetSeries, Runs } from "../wire";
import { type Chart, ChartTable, charts, Dots } from "./ChartParts";
import { Curve, type Zoom } from "./Curve";
import { CurveTools } from "./CurveTools";
import { ErrorBanner } from "./ErrorBanner";
import { ExportButtons, exported } from "./Figure";
import { Button, Loading, Mark, useCall } from "./kit";
import { useSame, useSeries } from "./series";
import { sameIn, steady } from "./steady";

/** More runs than this in one chart tell nobody anything. */
const MOST_RUNS = 24;
const MOST_CHARTS = 12;
const NO_BANDS: readonly Band[] = [];

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
  runs: Runs;
  state: State;
  client: Client;
  view: CurveView;
  groups: Record<string, string[]> | null;
  bands: readonly Band[];
}

/** The lines of a chart: those that all charts asked for, or finer ones where it is zoomed in. */
function useLines({ chart, client, state, runs, view, groups, bands }: CardProps, zoom: Zoom | null): readonly Line[] {
  const ids = chart.drawn.map((one) => one.run_id);
  const isZoomed = zoom !== null && chart.curve;
  const revision = isZoomed ? state.revision.value : 0; // what is seen whole is drawn of what all charts asked for
  const finer = useSeries(
    client,
    runs,
    isZoomed && groups === null ? seriesRequest(ids, [chart.key], view, zoom) : null,
    revision,
  ).series;
  const [low, high] = zoom ?? [];
  const finerBands = useCall(
    client,
    isZoomed && groups !== null
      ? { op: "bands", groups, keys: [chart.key], spread: view.spread, axis: view.axis, low, high }
      : null,
    revision,
  ).answer?.bands;
  return useMemo(() => {
    if (groups !== null) {
      const shown = (zoom === null ? null : finerBands) ?? bands.filter((one) => one.key === chart.key);
      return shown.map((one) => bandLine(one, Object.keys(groups).indexOf(one.name)));
    }
    const zoomed = zoom === null ? undefined : finer;
    return chart.drawn.map((one) => {
      const series = zoomed?.find((found) => found.run_id === one.run_id && found.key === chart.key) ?? one.series;
      return lineOf(series, one.name, one.color, view.axis);
    });
  }, [chart, zoom, finer, finerBands, view, groups, bands]);
}

/** A chart is drawn anew only if it is another: a table that changed elsewhere is none of its business. */
const ChartCard = steady(DrawnCard, sameIn<CardProps>(["chart", "state", "client", "view", "groups", "bands"]));

function DrawnCard(props: CardProps) {
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
  const { series, failure } = useSeries(client, runs, request, state.revision);
  const grouped = useCall(
    client,
    groups === null || request === null
      ? null
      : { op: "bands", groups, keys: keys.slice(0, MOST_CHARTS), spread: view.spread, axis: view.axis },
    state.revision,
  );
  const found = useMemo(() => {
    const chosen = new Set(ids);
    return charts(runs, series?.filter((one) => chosen.has(one.run_id)) ?? []);
  }, [runs, series, ids]);
  const drawn = useSame(found);
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
  if (failure !== null && series === null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (series === null) {
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
            runs={runs}
            state={state}
            client={client}
            view={view}
            groups={groups}
            bands={grouped.answer?.bands ?? NO_BANDS}
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

/** The runs in the colours that the table gave them: asked for by themselves, they would have others. */
function inColors(told: Runs, state: State): Runs {
  return { ...told, colors: told.run_ids.map((id, row) => state.known(id)?.color ?? told.colors[row] ?? 0) };
}

/** The metrics of the runs that are marked in the table. */
export function MetricChart({ client, state }: ViewProps) {
  const here = state.runs.value;
  const large = here !== null && !here.whole;
  // Of a large table only what is in sight is at hand: the marked runs are asked for by their ids.
  const marked = large ? [...state.selected.value].slice(0, MOST_RUNS) : [];
  const asked = marked.length > 0 ? ({ op: "runs", run_ids: marked, limit: MOST_RUNS } as const) : null;
  const told = useCall(client, asked, state.revision).answer;
  const runs = useMemo(() => (large ? told && inColors(told, state) : here), [large, told, here]);
  const shown = useMemo(
    () => (large ? [...(told?.run_ids ?? [])] : drawnRuns(state)),
    [runs, state.rows.value, state.selected.value],
  );
  return runs === null || runs.run_ids.length === 0 ? null : (
    <Charts client={client} state={state} runs={runs} shown={shown} />
  );
}

export const mount = mounter(MetricChart, {});
