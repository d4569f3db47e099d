/** The same logged file of several runs beside each other: figures, images, tables. */
import { useState } from "preact/hooks";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { findColumn } from "../rows";
import type { RunDetail } from "../wire";
import { Choose } from "./CurveTools";
import { Loading, Mark, useCalls } from "./kit";
import { drawnRuns } from "./MetricChart";
import { Preview } from "./Preview";

const MOST_RUNS = 8;
const SHOWN = /\.(png|jpe?g|gif|webp|bmp|svg|html?|json|csv|tsv|parquet|txt|log|md)$/i;

/** Paths of files that can be looked at, those of most runs first; a model's own files are not among them. */
export function commonFiles(details: readonly RunDetail[]): string[] {
  const count = new Map<string, number>();
  for (const run of details) {
    const folders = run.models.map((model) => `${model.artifact_path}/`);
    for (const { path } of run.artifacts) {
      if (SHOWN.test(path) && !folders.some((folder) => path.startsWith(folder)) && !path.startsWith("nbtrack/")) {
        count.set(path, (count.get(path) ?? 0) + 1);
      }
    }
  }
  return [...count].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([path]) => path);
}

export function SideBySide({ client, state }: ViewProps) {
  const [chosen, setChosen] = useState("");
  const ids = drawnRuns(state).slice(0, MOST_RUNS);
  const answers = useCalls(
    client,
    ids.map((run_id) => ({ op: "run", run_id }) as const),
    state.revision.value,
  );
  const details = answers.filter((one): one is RunDetail => one !== null);
  if (ids.length === 0) {
    return (
      <p class="nbt-note">
        {trans.__("Mark runs in the table to see their files: click the shape before a name, or press Space.")}
      </p>
    );
  }
  if (details.length < ids.length) {
    return <Loading label={trans.__("Reading…")} />;
  }
  const files = commonFiles(details);
  const path = files.includes(chosen) ? chosen : files[0];
  if (path === undefined) {
    return (
      <p class="nbt-note">
        {trans.__('These runs logged no figures or tables. Log one with nbtrack.log_figure(figure, "roc.png").')}
      </p>
    );
  }
  const runs = state.runs.value;
  const colors = new Map(runs?.run_ids.map((id, i) => [id, runs.colors[i] ?? 0]));
  const names = runs === null ? [] : (findColumn(runs, "attribute", "run_name")?.values ?? []);
  return (
    <div class="nbt-side-by-side" data-nbt="side-by-side">
      <div class="nbt-tools">
        <Choose
          name="file"
          label={trans.__("File")}
          value={path}
          choices={files.map((one) => ({ value: one, label: one }))}
          change={setChosen}
        />
      </div>
      <div class="nbt-wall">
        {details.map((run) => (
          <section key={run.run_id} class="nbt-wall-item" aria-label={run.run_name}>
            <h4>
              <Mark color={colors.get(run.run_id) ?? 0} />
              <span>{run.run_name || String(names[runs?.run_ids.indexOf(run.run_id) ?? -1] ?? "")}</span>
            </h4>
            {run.artifacts.some((one) => one.path === path) ? (
              <Preview client={client} run_id={run.run_id} path={path} />
            ) : (
              <p class="nbt-note">{trans.__("This run has no such file.")}</p>
            )}
          </section>
        ))}
      </div>
    </div>
  );
}

export const mount = mounter(SideBySide, {});
