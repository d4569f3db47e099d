/** Everything about one run, as a page: what it was told, what came of it, what it is made of, and what it left. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { formatBytes, formatDelta, formatDuration, formatNumber, formatTime, toNumber } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import { stepsOf } from "../pipeline";
import { type RunRecord, readRecord } from "../record";
import type { State } from "../state";
import type { RunDetail as Detail, MetricEntry, Runs } from "../wire";
import { Alerts } from "./Alerts";
import { ErrorBanner } from "./ErrorBanner";
import { Ago, Button, Code, Loading, StageChip, StatusBadge, useCall } from "./kit";
import { Lineage } from "./Lineage";
import { Charts } from "./MetricChart";
import { isAboutModel, ModelActions } from "./ModelActions";
import { Pipeline } from "./Pipeline";
import { DownloadButton, Preview } from "./Preview";
import { canReproduce, Reproduce } from "./Reproduce";
import { RunDiff } from "./RunDiff";
import { PairRows, Section } from "./Section";
import { Visited } from "./Visited";

const MOST_FILES = 200;

const written = (value: number | string | null): string => {
  const number = toNumber(value);
  return number === null ? String(value ?? "") : formatNumber(number);
};

function MetricRows({ metrics, against }: { metrics: MetricEntry[]; against: string }) {
  const several = metrics.some((metric) => metric.count > 1);
  return (
    // biome-ignore lint/a11y: what scrolls must be reachable without a mouse.
    <div class="nbt-data-frame" tabIndex={0} role="group" aria-label={trans.__("Metrics")}>
      <table class="nbt-data nbt-wide" data-nbt="metrics">
        <thead>
          <tr>
            <th scope="col">{trans.__("metric")}</th>
            <th scope="col" class="nbt-num-cell">
              {several ? trans.__("last") : trans.__("value")}
            </th>
            {several && <th class="nbt-num-cell">{trans.__("min")}</th>}
            {several && <th class="nbt-num-cell">{trans.__("max")}</th>}
            {several && <th class="nbt-num-cell">{trans.__("points")}</th>}
            {against !== "" && (
              <th class="nbt-num-cell" title={trans.__("against %1, the run before", against)}>
                {trans.__("change")}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {metrics.map((metric) => {
            const delta = formatDelta(metric.last, metric.previous, metric.better);
            return (
              <tr key={metric.key} data-nbt="metric" data-key={metric.key}>
                <th scope="row">{metric.key}</th>
                <td class="nbt-num-cell" title={String(metric.last)}>
                  {written(metric.last)}
                </td>
                {several && <td class="nbt-num-cell">{written(metric.min)}</td>}
                {several && <td class="nbt-num-cell">{written(metric.max)}</td>}
                {several && <td class="nbt-num-cell">{metric.count}</td>}
                {against !== "" && (
                  <td class={`nbt-num-cell nbt-delta nbt-${delta?.tone ?? "unknown"}`}>
                    {delta?.text ?? "–"}
                    {delta?.tone === "better" && <span class="nbt-hidden"> {trans.__("better")}</span>}
                    {delta?.tone === "worse" && <span class="nbt-hidden"> {trans.__("worse")}</span>}
                  </td>
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Head({ run, record }: { run: Detail; record: RunRecord }) {
  const took = run.end_time === null ? "" : formatDuration(run.end_time - run.start_time);
  const facts = [
    run.experiment === "Default" ? "" : run.experiment,
    run.user,
    took,
    record.notebook === "" ? "" : record.notebook,
    record.execution_count === null ? "" : trans.__("cell [%1]", record.execution_count),
  ].filter((fact) => fact !== "");
  return (
    <header class="nbt-detail-head">
      <h2 class="nbt-title" data-nbt="run-name" title={run.run_id}>
        {run.run_name || trans.__("(no name)")}
      </h2>
      <StatusBadge status={run.status} />
      {run.deleted && <span class="nbt-chip">{trans.__("in the trash")}</span>}
      <span class="nbt-meta" title={formatTime(run.start_time)}>
        <Ago at={run.start_time} /> {facts.map((fact) => ` · ${fact}`).join("")}
      </span>
      <code class="nbt-meta nbt-run-id">{run.run_id}</code>
    </header>
  );
}

/** A run alone, in the form in which the charts take the runs of a table. */
export function asRuns(run: Detail): Runs {
  const metric = (entry: MetricEntry): Runs["columns"][number] => ({
    kind: "metric",
    key: entry.key,
    values: [entry.last],
    varies: false,
    numeric: true,
    better: entry.better,
  });
  const name = {
    kind: "attribute",
    key: "run_name",
    values: [run.run_name],
    varies: false,
    numeric: false,
    better: null,
  } as const;
  return {
    run_ids: [run.run_id],
    columns: [{ ...name, values: [run.run_name] }, ...run.metrics.filter((entry) => entry.count > 1).map(metric)],
    colors: [0],
    total: 1,
    revision: "",
    offset: 0,
    whole: true,
    changed: null,
  };
}

function Files({ client, state, run }: ViewProps & { run: Detail }) {
  const [open, setOpen] = useState<string | null>(null);
  const shown = run.artifacts.slice(0, MOST_FILES);
  return (
    <ul class="nbt-file-list">
      {shown.map((file) => (
        <li key={file.path} data-nbt="file" data-path={file.path}>
          <div class="nbt-file-line">
            <button
              type="button"
              class="nbt-fold"
              aria-expanded={open === file.path}
              onClick={() => setOpen(open === file.path ? null : file.path)}
            >
              <span class={`nbt-caret${open === file.path ? " nbt-open" : ""}`} aria-hidden="true" />
              <span class="nbt-file-name">{file.path}</span>
            </button>
            <span class="nbt-meta">{formatBytes(file.size_bytes)}</span>
            {client.saved !== true && (
              <DownloadButton client={client} state={state} run_id={run.run_id} path={file.path} />
            )}
          </div>
          {open === file.path && <Preview client={client} run_id={run.run_id} path={file.path} />}
        </li>
      ))}
      {run.artifacts.length > MOST_FILES && (
        <li class="nbt-note">{trans.__("The first %1 of %2 files.", MOST_FILES, run.artifacts.length)}</li>
      )}
    </ul>
  );
}

function Relatives({ run, state }: { run: Detail; state: State }) {
  const link = ([id, name, status]: readonly [string, string, string?]) => (
    <li key={id}>
      <Button
        name="open-run"
        kind="quiet"
        label={name || id}
        onClick={() => {
          state.current.value = id;
        }}
      />
      {status !== undefined && <StatusBadge status={status} />}
    </li>
  );
  return (
    <div class="nbt-relatives">
      {run.parent !== null && (
        <>
          <h4>{trans.__("Part of")}</h4>
          <ul>{link([...run.parent])}</ul>
        </>
      )}
      {run.children.length > 0 && (
        <>
          <h4>{trans._n("%1 part", "%1 parts", run.children.length)}</h4>
          <ul>{run.children.map((child) => link(child))}</ul>
        </>
      )}
    </div>
  );
}

function Models({ run }: { run: Detail }) {
  return (
    <ul class="nbt-models-made">
      {run.models.map((model) => (
        <li key={model.artifact_path}>
          <b>{model.model_class.split(".").pop()}</b>{" "}
          <span class="nbt-meta">
            {model.flavor} · {formatBytes(model.size_bytes)} · {model.artifact_path}
          </span>
          {model.versions.map(([name, version, stage]) => (
            <span key={`${name}/${version}`} class="nbt-made" data-nbt="made" data-version={version}>
              {name} <b>v{version}</b> <StageChip stage={stage} />
            </span>
          ))}
        </li>
      ))}
    </ul>
  );
}

/** Figures and tables: those that the capture names, and those logged by hand. */
function Pictures({ client, run, record }: Pick<ViewProps, "client"> & { run: Detail; record: RunRecord }) {
  const titles = new Map([...record.figures, ...record.frames].map((one) => [one.path, one.title]));
  const paths = run.artifacts
    .map((file) => file.path)
    .filter((path) => titles.has(path) || /\.(png|jpe?g|gif|webp|svg|html)$/i.test(path))
    .slice(0, 24);
  if (paths.length === 0) {
    return null;
  }
  return (
    <Section title={trans.__("Figures & tables")} name="figures" count={paths.length}>
      <div class="nbt-wall">
        {paths.map((path) => (
          <section key={path} class="nbt-wall-item" aria-label={titles.get(path) || path}>
            <h4>
              <span title={path}>{titles.get(path) || path}</span>
            </h4>
            <Preview client={client} run_id={run.run_id} path={path} />
          </section>
        ))}
      </div>
    </Section>
  );
}

function Results({ client, state, run }: ViewProps & { run: Detail }) {
  const against = run.metrics.some((metric) => metric.previous !== null) ? (run.previous_run?.[1] ?? "") : "";
  const params = Object.entries(run.params);
  const tags = Object.entries(run.tags).filter(([key]) => !key.startsWith("nbtrack."));
  const runs = useMemo(() => asRuns(run), [run]);
  const curves = runs.columns.length > 1;
  return (
    <>
      <div class="nbt-two">
        <Section title={trans.__("Metrics")} name="metrics" count={run.metrics.length}>
          {run.metrics.length > 0 ? (
            <MetricRows metrics={run.metrics} against={against} />
          ) : (
            <p class="nbt-note">{trans.__("This run has no metrics.")}</p>
          )}
        </Section>
        <Section title={trans.__("Params")} name="params" count={params.length}>
          {params.length > 0 ? (
            <PairRows title={trans.__("Params")} pairs={params} name="param" />
          ) : (
            <p class="nbt-note">{trans.__("This run has no params.")}</p>
          )}
          {tags.length > 0 && (
            <>
              <h4>{trans.__("Tags")}</h4>
              <PairRows title={trans.__("Tags")} pairs={tags} name="tag" />
            </>
          )}
        </Section>
      </div>
      {curves && (
        <Section title={trans.__("Curves")} name="curves">
          <Charts client={client} state={state} runs={runs} shown={runs.run_ids} />
        </Section>
      )}
    </>
  );
}

export interface DetailProps {
  run_id: string;
  close?: (() => void) | undefined;
}

export function RunDetail({ client, state, run_id, close }: ViewProps & DetailProps) {
  const { answer, failure } = useCall(client, { op: "run", run_id }, state.revision.value);
  const [why, setWhy] = useState(false);
  const run = answer?.run_id === run_id ? answer : null;
  const record = useMemo(() => readRecord(run?.capture ?? {}), [run]);
  useEffect(() => {
    if (run !== null) {
      state.status.value = trans.__("Run %1", run.run_name);
    }
  }, [run?.run_id]);
  if (run === null) {
    return failure ? (
      <ErrorBanner failure={failure} retry={state.refresh} dismiss={close} />
    ) : (
      <Loading label={trans.__("Reading the run…")} />
    );
  }
  const { previous_run } = run;
  return (
    <article
      class="nbt-detail"
      data-nbt="run-detail"
      data-run={run.run_id}
      aria-label={trans.__("Run %1", run.run_name)}
    >
      <div class="nbt-detail-top">
        <Head run={run} record={record} />
        {close && (
          <Button name="close-run" kind="quiet" iconOnly icon="close" label={trans.__("Close")} onClick={close} />
        )}
      </div>
      {run.note !== "" && <p class="nbt-quote nbt-lines">{run.note}</p>}
      {record.error !== "" && run.status !== "FINISHED" && (
        <Code label={trans.__("Error")} text={record.error} bad={true} name="error-text" />
      )}
      <Alerts run={run} />
      {record.steps.length > 0 && (
        <Section title={trans.__("Steps")} name="steps" count={record.steps.length}>
          <Pipeline state={state} run={run} steps={stepsOf(run, record.steps)} />
        </Section>
      )}
      <Results client={client} state={state} run={run} />
      {previous_run !== null && client.saved !== true && (
        <Section title={trans.__("Why is this run different?")} name="why">
          <Button
            name="why"
            expanded={why}
            label={trans.__("Compare it with %1, the run before", previous_run[1])}
            onClick={() => setWhy(!why)}
          />
          {why && <RunDiff client={client} state={state} run_ids={[previous_run[0], run.run_id]} />}
        </Section>
      )}
      {(canReproduce(run) || record.reproduced !== null) && (
        <Section title={trans.__("Does it give the same again?")} name="reproduce">
          <Reproduce client={client} state={state} run={run} />
        </Section>
      )}
      {(run.models.length > 0 || (client.saved !== true && isAboutModel(run))) && (
        <Section title={trans.__("Model")} name="model">
          {run.models.length > 0 && <Models run={run} />}
          {client.saved !== true && <ModelActions client={client} state={state} run={run} />}
        </Section>
      )}
      {(run.parent !== null || run.children.length > 0) && (
        <Section title={trans.__("Runs that belong together")} name="relatives">
          <Relatives run={run} state={state} />
        </Section>
      )}
      <Pictures client={client} run={run} record={record} />
      <Lineage run={run} record={record} />
      {record.output.length > 0 && (
        <Section title={trans.__("Output")} name="output">
          {record.output.map((one) => (
            <Code key={one.name} label={one.name} text={one.text} name={one.name} />
          ))}
        </Section>
      )}
      {run.artifacts.length > 0 && (
        <Section title={trans.__("Files")} name="files" count={run.artifacts.length}>
          <Files client={client} state={state} run={run} />
        </Section>
      )}
    </article>
  );
}

function PageAlone({ client, state, run_id }: ViewProps & DetailProps) {
  return (
    <Visited state={state} run_id={run_id}>
      {(shown) => <RunDetail key={shown} client={client} state={state} run_id={shown} />}
    </Visited>
  );
}

export const mount = mounter<DetailProps>(PageAlone, { run_id: "" });
