/** Everything that can be drawn of the runs in a table: one tab a kind. */
import { useMemo, useState } from "preact/hooks";
import { saveBlob } from "../download";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { columnId } from "../rows";
import type { GetFigure, Runs } from "../wire";
import { Choose } from "./CurveTools";
import { ErrorBanner } from "./ErrorBanner";
import { Figure } from "./Figure";
import { Button, Loading, useAction, useCall } from "./kit";
import { drawnRuns, MetricChart } from "./MetricChart";
import { Parallel } from "./Parallel";
import { RunDiff } from "./RunDiff";
import { SideBySide } from "./SideBySide";
import { TabList } from "./TabList";

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
    return (
      <p class="nbt-note">
        {trans.__("Mark runs in the table to draw them: click the shape before a name, or press Space.")}
      </p>
    );
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
        <TabList label={trans.__("Plots")} name="plot" tabs={TABS} chosen={tab} choose={setTab} nameOf={tabName} />
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
