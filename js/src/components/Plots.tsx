/** Everything that can be drawn of the runs in a table: one tab a kind. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type BrushAxis, brushQuery, type Range } from "../brush";
import { saveBlob } from "../download";
import { toNumber } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { Plotly, PlotlyElement } from "../plotly";
import { columnId } from "../rows";
import type { Figure as FigureData, GetFigure, Runs } from "../wire";
import { Choose } from "./CurveTools";
import { ErrorBanner } from "./ErrorBanner";
import { Figure } from "./Figure";
import { Button, Loading, useAction, useCall } from "./kit";
import { drawnRuns, MetricChart } from "./MetricChart";
import { RunDiff } from "./RunDiff";
import { SideBySide } from "./SideBySide";

type Kind = GetFigure["kind"];
type Tab = "metrics" | "diff" | Exclude<Kind, "curves"> | "files";

const TABS: readonly Tab[] = [
  "metrics",
  "diff",
  "parallel",
  "scatter",
  "matrix",
  "importance",
  "best",
  "confusion",
  "roc",
  "pr",
  "files",
];
/** These are about all runs of the table; the others about the marked ones. */
const ABOUT_ALL: ReadonlySet<Tab> = new Set(["parallel", "scatter", "matrix", "importance", "best"]);
const MOST_IDS = 2000;
const MOST_COMPARED = 12;

function tabName(tab: Tab): string {
  switch (tab) {
    case "metrics":
      return trans.__("Metrics");
    case "diff":
      return trans.__("Why different?");
    case "parallel":
      return trans.__("Parallel");
    case "scatter":
      return trans.__("Scatter");
    case "matrix":
      return trans.__("Matrix");
    case "importance":
      return trans.__("Importance");
    case "best":
      return trans.__("Best so far");
    case "confusion":
      return trans.__("Confusion");
    case "roc":
      return trans.__("ROC");
    case "pr":
      return trans.__("Precision/recall");
    case "files":
      return trans.__("Figures & tables");
  }
}

function PlotTabs({ tab, go }: { tab: Tab; go: (tab: Tab) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const move = (to: Tab): void => {
    go(to);
    list.current?.querySelector<HTMLElement>(`[data-tab="${to}"]`)?.focus();
  };
  return (
    <div class="nbt-tabs" role="tablist" ref={list} aria-label={trans.__("Plots")}>
      {TABS.map((one, i) => (
        <button
          key={one}
          type="button"
          role="tab"
          data-tab={one}
          data-nbt={`plot-${one}`}
          aria-selected={tab === one}
          tabIndex={tab === one ? 0 : -1}
          onClick={() => move(one)}
          onKeyDown={(event) => {
            const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? TABS.length - 1 : 0;
            if (step !== 0) {
              event.preventDefault();
              move(TABS[(i + step) % TABS.length] ?? "metrics");
            }
          }}
        >
          {tabName(one)}
        </button>
      ))}
    </div>
  );
}

interface Choices {
  metric: string;
  x: string;
  y: string;
  color: string;
}

/** What the user chose for a figure, with the columns there are to choose from. */
function Tools({
  tab,
  runs,
  choices,
  set,
}: {
  tab: Tab;
  runs: Runs;
  choices: Choices;
  set: (part: Partial<Choices>) => void;
}) {
  const metrics = runs.columns.filter((column) => column.kind === "metric");
  const columns = runs.columns
    .filter((one) => (one.kind === "param" && one.varies) || one.kind === "metric")
    .map((one) => ({ value: columnId(one), label: one.key }));
  const derived = [
    { value: "attribute:start_time", label: trans.__("started") },
    { value: "attribute:duration", label: trans.__("duration") },
  ];
  const byItself = { value: "", label: trans.__("automatic") };
  return (
    <fieldset class="nbt-tools" aria-label={trans.__("What is drawn")}>
      {tab !== "scatter" && metrics.length > 1 && (
        <Choose
          name="plot-metric"
          label={trans.__("Metric")}
          value={choices.metric}
          choices={[byItself, ...metrics.map((one) => ({ value: one.key, label: one.key }))]}
          change={(metric) => set({ metric })}
        />
      )}
      {tab === "scatter" && (
        <>
          <Choose
            name="plot-x"
            label={trans.__("Across")}
            value={choices.x}
            choices={[byItself, ...columns, ...derived]}
            change={(x) => set({ x })}
          />
          <Choose
            name="plot-y"
            label={trans.__("Up")}
            value={choices.y}
            choices={[byItself, ...columns, ...derived]}
            change={(y) => set({ y })}
          />
        </>
      )}
      {(tab === "scatter" || tab === "matrix") && (
        <Choose
          name="plot-color"
          label={trans.__("Colour")}
          value={choices.color}
          choices={[{ value: "", label: trans.__("each run") }, ...columns]}
          change={(color) => set({ color })}
        />
      )}
    </fieldset>
  );
}

interface Meta {
  run_ids?: string[];
  axes?: BrushAxis[];
}

const metaOf = (figure: FigureData): Meta => (figure.spec.layout as { meta?: Meta } | undefined)?.meta ?? {};

/** The ranges that are brushed on the axes of the drawn element: plotly gives one pair, or several. */
export function rangesOf(constraint: unknown): Range[] {
  if (!Array.isArray(constraint) || constraint.length === 0) {
    return [];
  }
  const pairs = Array.isArray(constraint[0]) ? (constraint as unknown[]) : [constraint];
  return pairs.flatMap((pair) => {
    const [from, to] = pair as [unknown, unknown];
    return typeof from === "number" && typeof to === "number" ? [[from, to] as const] : [];
  });
}

interface Dimension {
  constraintrange?: unknown;
}

/** The same brushes as numbers to type: for those who have no mouse, or want an exact border. */
function BrushFields(props: {
  axes: BrushAxis[];
  ranges: Range[][];
  change: (axis: number, ranges: Range[]) => void;
  clear: () => void;
}) {
  const { axes, ranges } = props;
  const text = (axis: BrushAxis, value: number | undefined): string =>
    value === undefined || !Number.isFinite(value)
      ? ""
      : String(Number((axis.log ? 10 ** value : value).toPrecision(4)));
  const edit = (at: number, side: 0 | 1, typed: string): void => {
    const axis = axes[at];
    const number = typed.trim() === "" ? null : toNumber(typed);
    if (axis === undefined) {
      return;
    }
    const placed =
      number === null ? (side === 0 ? -1e300 : 1e300) : axis.log ? Math.log10(Math.max(number, 1e-300)) : number;
    const [low, high] = ranges[at]?.[0] ?? [-1e300, 1e300];
    const next: Range = side === 0 ? [placed, high] : [low, placed];
    props.change(at, next[0] <= -1e300 && next[1] >= 1e300 ? [] : [next]);
  };
  return (
    <details class="nbt-more" data-nbt="brush-fields">
      <summary>{trans.__("Brush by typing")}</summary>
      <div class="nbt-brushes">
        {axes.map((axis, at) =>
          axis.categories.length > 0 ? (
            <label key={axis.id} class="nbt-brush">
              <span title={axis.label}>{axis.label}</span>
              <select
                class="nbt-input"
                value={String(
                  ranges[at]?.[0] === undefined ? "" : Math.round((ranges[at][0][0] + ranges[at][0][1]) / 2),
                )}
                onChange={(event) => {
                  const place = toNumber(event.currentTarget.value);
                  props.change(at, place === null ? [] : [[place - 0.4, place + 0.4]]);
                }}
              >
                <option value="">{trans.__("any")}</option>
                {axis.categories.map((one, i) => (
                  <option key={one} value={String(i)}>
                    {one}
                  </option>
                ))}
              </select>
            </label>
          ) : (
            <fieldset key={axis.id} class="nbt-brush" aria-label={axis.label}>
              <span title={axis.label}>{axis.label}</span>
              {([0, 1] as const).map((side) => (
                <input
                  key={side}
                  class="nbt-input"
                  inputMode="decimal"
                  data-axis={axis.id}
                  placeholder={side === 0 ? trans.__("from") : trans.__("to")}
                  aria-label={side === 0 ? trans.__("%1 from", axis.label) : trans.__("%1 to", axis.label)}
                  value={text(
                    axis,
                    Math.abs(ranges[at]?.[0]?.[side] ?? 1e300) >= 1e300 ? undefined : ranges[at]?.[0]?.[side],
                  )}
                  onChange={(event) => edit(at, side, event.currentTarget.value)}
                />
              ))}
            </fieldset>
          ),
        )}
      </div>
      <Button name="clear-brushes" kind="quiet" label={trans.__("Clear the brushes")} onClick={props.clear} />
    </details>
  );
}

/** Parallel coordinates whose brushes filter the table. */
function Parallel({ client, state, figure }: ViewProps & { figure: FigureData }) {
  const axes = metaOf(figure).axes ?? [];
  const [ranges, setRanges] = useState<Range[][]>([]);
  const drawn = useRef<{ element: PlotlyElement; plotly: Plotly } | null>(null);
  const shown = useRef(axes);
  shown.current = axes;
  const keep = (next: Range[][]): void => {
    setRanges(next);
    state.brush.value = brushQuery(shown.current.map((axis, i) => ({ axis, ranges: next[i] ?? [] })));
  };
  const change = (at: number, next: Range[]): void => {
    const all = axes.map((_, i) => (i === at ? next : (ranges[i] ?? [])));
    keep(all);
    const bounded = next.map((range) => [Math.max(range[0], -1e300), Math.min(range[1], 1e300)]);
    void drawn.current?.plotly.restyle(
      drawn.current.element,
      { [`dimensions[${at}].constraintrange`]: [bounded[0] ?? null] },
      [0],
    );
  };
  useEffect(() => {
    if (state.brush.value === "" && ranges.some((one) => one.length > 0)) {
      // cleared beside the filter: the picture follows
      setRanges([]);
      const none = Object.fromEntries(axes.map((_, i) => [`dimensions[${i}].constraintrange`, null]));
      void drawn.current?.plotly.restyle(drawn.current.element, none, [0]);
    }
  }, [state.brush.value]);
  return (
    <>
      <Figure
        client={client}
        state={state}
        figure={figure}
        name="parallel"
        drawn={(element, plotly) => {
          drawn.current = { element, plotly };
          element.on?.("plotly_restyle", () => {
            const dimensions = (element.data?.[0]?.dimensions ?? []) as Dimension[];
            keep(dimensions.map((one) => rangesOf(one.constraintrange)));
          });
        }}
      />
      {axes.length > 0 && (
        <BrushFields
          axes={axes}
          ranges={ranges}
          change={change}
          clear={() => {
            state.brush.value = "";
          }}
        />
      )}
    </>
  );
}

/** Which runs a figure is about, as a request says it. */
function about(
  tab: Tab,
  { state }: ViewProps,
  ids: readonly string[],
): Pick<GetFigure, "run_ids" | "experiment" | "filter"> | null {
  if (!ABOUT_ALL.has(tab)) {
    return ids.length === 0 ? null : { run_ids: ids.slice(0, 24) };
  }
  const runs = state.runs.value;
  if (runs !== null && runs.total <= Math.min(MOST_IDS, runs.run_ids.length)) {
    return { run_ids: [...runs.run_ids] };
  }
  return {
    run_ids: state.options.run_ids ?? null,
    experiment: state.options.experiment ?? null,
    filter: state.options.query ?? "",
  };
}

function Drawn({
  client,
  state,
  tab,
  runs,
  choices,
}: ViewProps & { tab: Exclude<Tab, "metrics" | "files" | "diff">; runs: Runs; choices: Choices }) {
  const ids = drawnRuns(state);
  const subject = about(tab, { client, state }, ids);
  const request = useMemo<GetFigure | null>(
    () =>
      subject && {
        op: "figure",
        kind: tab,
        ...subject,
        ...(choices.metric !== "" && tab !== "scatter" ? { metric: choices.metric } : {}),
        ...(tab === "scatter" && choices.x !== "" && choices.y !== "" ? { columns: [choices.x, choices.y] } : {}),
        ...(choices.color !== "" && (tab === "scatter" || tab === "matrix") ? { color: choices.color } : {}),
      },
    [tab, JSON.stringify(subject), choices, runs.revision],
  );
  const { answer, failure } = useCall(client, request, state.revision.value);
  if (request === null) {
    return <p class="nbt-note">{trans.__("Choose runs in the table to draw them.")}</p>;
  }
  if (failure !== null) {
    return <ErrorBanner failure={failure} retry={state.refresh} />;
  }
  if (answer === null) {
    return <Loading label={trans.__("Reading…")} />;
  }
  if (tab === "parallel") {
    return <Parallel client={client} state={state} figure={answer} />;
  }
  return (
    <Figure
      key={tab}
      client={client}
      state={state}
      figure={answer}
      name={tab}
      drawn={(element) =>
        element.on?.("plotly_click", (data) => {
          const id = (data as { points?: { customdata?: unknown }[] }).points?.[0]?.customdata;
          if (typeof id === "string") {
            state.current.value = id;
          }
        })
      }
    />
  );
}

/** Save what the table is about as a page for people who have no Jupyter. */
function ReportButton({ client, state }: ViewProps) {
  const action = useAction(state);
  const save = async (): Promise<string> => {
    const { run_ids = null, experiment = null, query = "" } = state.options;
    const page = await client.call({ op: "report", run_ids, experiment, filter: query });
    saveBlob(page.file_name, new Blob([page.html], { type: "text/html" }));
    return page.file_name;
  };
  return (
    <>
      <Button
        name="report"
        busy={action.busy === "report"}
        label={trans.__("Report")}
        title={trans.__("Save one page for people who have no Jupyter: which model, how good, since when")}
        onClick={() => void action.run("report", save, (name) => trans.__("Saved as %1", name))}
      />
      {action.failure !== null && <ErrorBanner failure={action.failure} dismiss={action.clear} />}
    </>
  );
}

export function Plots({ client, state }: ViewProps) {
  const [tab, setTab] = useState<Tab>("metrics");
  const [choices, setChoices] = useState<Choices>({ metric: "", x: "", y: "", color: "" });
  const runs = state.runs.value;
  if (runs === null || runs.run_ids.length === 0) {
    return null;
  }
  if (client.saved === true) {
    return <MetricChart client={client} state={state} />;
  }
  return (
    <div class="nbt-plots" data-nbt="plots">
      <div class="nbt-plots-head">
        <PlotTabs tab={tab} go={setTab} />
        <ReportButton client={client} state={state} />
      </div>
      <div role="tabpanel" aria-label={tabName(tab)} class="nbt-plot-panel">
        {tab === "metrics" && <MetricChart client={client} state={state} />}
        {tab === "files" && <SideBySide client={client} state={state} />}
        {tab === "diff" && <RunDiff client={client} state={state} run_ids={drawnRuns(state).slice(0, MOST_COMPARED)} />}
        {tab !== "metrics" && tab !== "files" && tab !== "diff" && (
          <>
            {ABOUT_ALL.has(tab) && (
              <Tools tab={tab} runs={runs} choices={choices} set={(part) => setChoices({ ...choices, ...part })} />
            )}
            <Drawn key={tab} client={client} state={state} tab={tab} runs={runs} choices={choices} />
          </>
        )}
      </div>
    </div>
  );
}

export const mount = mounter(Plots, {});
