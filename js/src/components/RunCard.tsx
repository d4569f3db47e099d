/** One run at a glance, and what to do with its model. */
import { useEffect, useState } from "preact/hooks";
import { columnDecimals, formatBytes, formatDelta, formatDuration, formatNumber, toNumber } from "../format";
import { trans } from "../i18n";
import { mounter, type ViewProps } from "../mount";
import type { LoggedModel, MetricEntry, RunDetail } from "../wire";
import { ErrorBanner } from "./ErrorBanner";
import { Ago, Button, Code, Loading, Mark, StageChip, StatusBadge, useCall } from "./kit";
import { ModelActions } from "./ModelActions";

const MOST_SHOWN = 12;

function Metric({ metric }: { metric: MetricEntry }) {
  const decimals = columnDecimals([metric.last, metric.previous]);
  const delta = formatDelta(metric.last, metric.previous, metric.better, decimals);
  const last = toNumber(metric.last);
  return (
    <div class="nbt-pair" data-nbt="metric" data-key={metric.key}>
      <dt title={metric.key}>{metric.key}</dt>
      <dd>
        <span class="nbt-value" title={String(metric.last)}>
          {last === null ? metric.last : formatNumber(last, decimals)}
        </span>
        {delta && (
          <span
            class={`nbt-delta nbt-${delta.tone}`}
            title={
              delta.tone === "better"
                ? trans.__("better than the run before")
                : delta.tone === "worse"
                  ? trans.__("worse than the run before")
                  : trans.__("against the run before")
            }
          >
            {delta.text}
            {delta.tone === "better" && <span class="nbt-hidden"> {trans.__("better")}</span>}
            {delta.tone === "worse" && <span class="nbt-hidden"> {trans.__("worse")}</span>}
          </span>
        )}
      </dd>
    </div>
  );
}

function Pairs({ title, pairs, name }: { title: string; pairs: [string, string][]; name: string }) {
  const [all, setAll] = useState(false);
  const shown = all ? pairs : pairs.slice(0, MOST_SHOWN);
  return (
    <div class="nbt-block">
      <h4>{title}</h4>
      <dl class="nbt-pairs">
        {shown.map(([key, value]) => (
          <div key={key} class="nbt-pair" data-nbt={name} data-key={key}>
            <dt title={key}>{key}</dt>
            <dd title={value}>{value}</dd>
          </div>
        ))}
      </dl>
      {pairs.length > MOST_SHOWN && (
        <Button
          name="more"
          kind="quiet"
          expanded={all}
          label={all ? trans.__("Fewer") : trans.__("%1 more", pairs.length - MOST_SHOWN)}
          onClick={() => setAll(!all)}
        />
      )}
    </div>
  );
}

function ModelLine({ model }: { model: LoggedModel }) {
  return (
    <div class="nbt-model-line" data-nbt="logged-model">
      <span class="nbt-model-class" title={model.model_class}>
        {model.model_class.split(".").pop()}
      </span>
      <span class="nbt-meta">
        {model.flavor} · {formatBytes(model.size_bytes)} · {model.artifact_path}
      </span>
      <span class="nbt-made-list">
        {model.versions.map(([name, version, stage]) => (
          <span key={`${name}/${version}`} class="nbt-made" data-nbt="made" data-version={version}>
            {name} <b>v{version}</b> <StageChip stage={stage} />
          </span>
        ))}
      </span>
    </div>
  );
}

function Head({ run, color, close }: { run: RunDetail; color: number | null; close: (() => void) | undefined }) {
  return (
    <header class="nbt-card-head">
      <div class="nbt-head-main">
        <div class="nbt-title-line">
          {color !== null && <Mark color={color} />}
          <h3 class="nbt-title" title={`${run.run_name} · ${run.run_id}`} data-nbt="run-name">
            {run.run_name || trans.__("(no name)")}
          </h3>
        </div>
        <StatusBadge status={run.status} />
        <span class="nbt-meta">
          {run.end_time !== null && `${formatDuration(run.end_time - run.start_time)} · `}
          <Ago at={run.start_time} />
          {run.experiment !== "Default" && ` · ${run.experiment}`}
        </span>
      </div>
      {close && (
        <Button name="close-run" kind="quiet" iconOnly icon="close" label={trans.__("Close")} onClick={close} />
      )}
    </header>
  );
}

/** The error text of a failed run, wherever its capture put it. */
function failureText(run: RunDetail): string {
  const error = run.capture.error ?? run.capture.exception;
  if (typeof error === "string") {
    return error;
  }
  if (typeof error === "object" && error !== null) {
    const { type, message, name, value } = error as Record<string, unknown>;
    return [type ?? name, message ?? value].filter((part) => typeof part === "string" && part !== "").join(": ");
  }
  return "";
}

export interface CardProps {
  run_id: string;
  /** Also show tags, files and the cell. */
  detailed: boolean;
  close?: (() => void) | undefined;
}

function Source({ run }: { run: RunDetail }) {
  const cell = run.capture.cell;
  const source =
    typeof cell === "object" && cell !== null ? (cell as Record<string, unknown>).source : run.capture.source;
  if (typeof source !== "string" || source === "") {
    return null;
  }
  return (
    <details class="nbt-more">
      <summary>{trans.__("Cell")}</summary>
      <Code label={trans.__("Source of the cell")} text={source} />
    </details>
  );
}

function More({ run }: { run: RunDetail }) {
  const tags = Object.entries(run.tags).filter(([key]) => !key.startsWith("nbtrack."));
  return (
    <>
      {tags.length > 0 && <Pairs title={trans.__("Tags")} pairs={tags} name="tag" />}
      <div class="nbt-extra">
        {run.artifacts.length > 0 && (
          <details class="nbt-more">
            <summary>{trans._n("%1 file", "%1 files", run.artifacts.length)}</summary>
            <ul class="nbt-files">
              {run.artifacts.map((artifact) => (
                <li key={artifact.path}>
                  <span>{artifact.path}</span> <span class="nbt-meta">{formatBytes(artifact.size_bytes)}</span>
                </li>
              ))}
            </ul>
          </details>
        )}
        <Source run={run} />
      </div>
    </>
  );
}

export function RunCard({ client, state, run_id, detailed, close }: ViewProps & CardProps) {
  const { answer, failure } = useCall(client, { op: "run", run_id }, state.revision.value);
  // What a card says of another run must not be said while the new one is still on its way.
  const run = answer?.run_id === run_id ? answer : null;
  useEffect(() => {
    if (run !== null) {
      state.status.value = trans.__("Run %1", run.run_name);
    }
  }, [run?.run_id]);
  if (run === null) {
    return (
      <section class="nbt-card">
        {failure ? (
          <ErrorBanner failure={failure} retry={state.refresh} dismiss={close} />
        ) : (
          <Loading label={trans.__("Reading the run…")} />
        )}
      </section>
    );
  }
  // The mark ties a run to the others around it; alone it would say nothing.
  const shown = state.runs.value;
  const row = shown !== null && shown.run_ids.length > 1 ? shown.run_ids.indexOf(run_id) : -1;
  const params = Object.entries(run.params);
  const error = run.status === "FINISHED" ? "" : failureText(run);
  return (
    <section
      class="nbt-card nbt-run"
      data-nbt="run-card"
      data-run={run.run_id}
      aria-label={trans.__("Run %1", run.run_name)}
    >
      <Head run={run} color={shown?.colors[row] ?? null} close={close} />
      {error !== "" && <Code label={trans.__("Error")} text={error} bad={true} />}
      {run.note !== "" && <p class="nbt-quote">{run.note}</p>}
      <div class="nbt-blocks">
        {run.metrics.length > 0 && (
          <div class="nbt-block">
            <h4>
              {trans.__("Metrics")}
              {run.previous_run && run.metrics.some((metric) => metric.previous !== null) && (
                <span class="nbt-meta nbt-against" title={run.previous_run[1]}>
                  {trans.__("change against %1", run.previous_run[1])}
                </span>
              )}
            </h4>
            <dl class="nbt-pairs">
              {run.metrics.slice(0, MOST_SHOWN * 2).map((metric) => (
                <Metric key={metric.key} metric={metric} />
              ))}
            </dl>
          </div>
        )}
        {params.length > 0 && <Pairs title={trans.__("Params")} pairs={params} name="param" />}
        {run.metrics.length === 0 && params.length === 0 && (
          <p class="nbt-note">{trans.__("No params or metrics were found.")}</p>
        )}
      </div>
      {run.models.map((model) => (
        <ModelLine key={model.artifact_path} model={model} />
      ))}
      <ModelActions client={client} state={state} run={run} />
      {detailed && <More run={run} />}
    </section>
  );
}

export const mount = mounter<CardProps>(RunCard, { run_id: "", detailed: false });
